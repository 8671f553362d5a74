"""Comparing float64 results of one computation that may take its sums in another order."""

from __future__ import annotations

import torch
from torch import Tensor

ROOM = 1e-9
"""Relative room, and absolute for numbers about 1: some 1e6 roundings of float64."""


def assert_near(left: Tensor, right: Tensor) -> None:
    """Fails unless both agree in shape and type, and in value but for rounding."""
    torch.testing.assert_close(left, right, rtol=ROOM, atol=ROOM)
