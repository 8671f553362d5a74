"""Runs tests on one thread, checks shape annotations, and makes torchvision importable with a CPU build of torch."""

from __future__ import annotations

import importlib
import sys

import torch
from jaxtyping import install_import_hook

torch.set_num_threads(1)
install_import_hook("crt_fidelity", "beartype.beartype")

try:
    importlib.import_module("torchvision")
except RuntimeError:  # its operators are for CUDA, and it describes two of them as it is imported; nothing calls them
    for module in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[module]
    OPERATORS = torch.library.Library("torchvision", "DEF")  # kept, as it is gone with its last reference
    for operator in ("nms", "qnms"):
        OPERATORS.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    importlib.import_module("torchvision")
