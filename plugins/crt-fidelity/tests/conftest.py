"""Runs tests on one thread, checks shape annotations, and makes torchvision importable with a CPU build of torch."""

from __future__ import annotations

import torch
from jaxtyping import install_import_hook

from crt_laws.vision import make_torchvision_importable

torch.set_num_threads(1)
install_import_hook("crt_fidelity", "beartype.beartype")
make_torchvision_importable()
