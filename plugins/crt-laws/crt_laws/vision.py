"""For tests: torchvision beside a torch for the CPU, where its import fails though nothing calls its operators."""

from __future__ import annotations

import importlib
import sys

KEPT: list[object] = []
"""Declared operators, which are gone with their last reference."""


def make_torchvision_importable() -> None:
    """Imports torchvision, if it is installed; declares the two operators that it describes as it is imported.

    torchvision from PyPI is built for CUDA, and finds none of its operators beside a torch that is not.
    """
    import torch

    try:
        importlib.import_module("torchvision")
    except ModuleNotFoundError:
        return
    except RuntimeError:
        for module in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[module]
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        KEPT.append(library)
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
        importlib.import_module("torchvision")
