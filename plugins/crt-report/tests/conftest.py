"""What the tests share: a small study of toys, one thread, and an interrupt that stops."""

from __future__ import annotations

import os
import signal

import torch
from hypothesis import settings

from crt_laws.toy_studies import runs, scan, toy, toy_plan

__all__ = ["runs", "scan", "toy", "toy_plan"]

settings.register_profile("runs", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("runs")
torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what it puts in the background so
    signal.signal(signal.SIGINT, signal.default_int_handler)
