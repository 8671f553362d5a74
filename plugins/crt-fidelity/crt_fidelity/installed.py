"""Builds the metric, if torch-fidelity can be imported."""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING

from crt_fidelity.specs import Fidelity
from crtcore.errors import RunError

if TYPE_CHECKING:
    from crt_fidelity.scores import FidelityScores


def fidelity(spec: Fidelity) -> FidelityScores:
    """Builds the metric.

    Raises: RunError if torch-fidelity cannot be imported, for example if torchvision does not fit torch.
    """
    try:
        importlib.import_module("torch_fidelity")
    except Exception as error:  # a torchvision that does not fit torch raises RuntimeError
        raise RunError(
            f"fidelity: expected torch-fidelity and a torchvision that fits torch {version('torch')}, got "
            f"{type(error).__name__}: {error}; pip install torch-fidelity, and torchvision from the index of torch, "
            "which is --index-url https://download.pytorch.org/whl/cpu for CPU builds"
        ) from error
    from crt_fidelity.scores import FidelityScores

    return FidelityScores(spec)
