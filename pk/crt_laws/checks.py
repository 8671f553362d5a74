"""Checks that laws yield: of truth, of equality, and of closeness in float64."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from crt_laws.kit import Check
from crtcore.errors import RunError, in_one_line

ROOM = 1e-9
"""Relative tolerance, and absolute for numbers about 1: some 1e6 roundings of float64."""
SHOWN = 200
"""Most characters of a value in a message."""


def check(holds: bool | Tensor, observed: str) -> Check:
    """Checks that something is true, or every element of a tensor.

    Raises: ValueError if the tensor is empty, as it would hold whatever the component does.
    """
    if isinstance(holds, Tensor):
        if not holds.numel():
            raise ValueError("expected something to check, got an empty tensor")
        holds = bool(holds.all())
    return Check(holds, observed)


def equal(value: object, expected: object, name: str) -> Check:
    """Checks that two values are equal."""
    return Check(value == expected, f"{name} is {_short(value)}, expected {_short(expected)}")


def same(value: Tensor, expected: Tensor, name: str) -> Check:
    """Checks that two tensors are equal bit for bit."""
    return Check(torch.equal(value, expected), f"{name}: two tensors that should be equal differ")


def near(value: Tensor, expected: Tensor, name: str, tolerance: float = ROOM) -> Check:
    """Checks that two tensors agree in shape and type, and in value up to rounding; -inf equals -inf, NaN nothing."""
    try:
        torch.testing.assert_close(value, expected, rtol=tolerance, atol=tolerance)
    except AssertionError as error:
        return Check(False, f"{name}: {' '.join(str(error).split())}")
    return Check(True, f"{name}: equal up to rounding")


def refused(call: Callable[[], object], what: str) -> Check:
    """Checks that a call raises a ValueError or a RunError, as components do for what they are not made for."""
    try:
        call()
    except (ValueError, RunError) as error:
        return Check(True, f"{what}: {in_one_line(error)}")
    except Exception as error:
        return Check(False, f"{what}: expected a ValueError or RunError, got {in_one_line(error)}")
    return Check(False, f"{what} passed")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."
