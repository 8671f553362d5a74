"""Notices draws that were not followed: generators whose state moved."""

from __future__ import annotations

import contextlib
import gc
import random
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from crt_verify.audit.branches import NotFollowed


class Watch:
    """The generators of torch, NumPy and `random` that exist now."""

    def __init__(self) -> None:
        self._generators = [each for each in gc.get_objects() if type(each) is np.random.Generator]

    @contextlib.contextmanager
    def over(self) -> Iterator[None]:
        """Watches what runs inside.

        Raises: NotFollowed if a generator drew from its own state.
        """
        before = self._states()
        yield
        after = self._states()
        moved = [name for name, state in after.items() if state != before[name]]
        if "torch" in moved and after["torch"] == _seeded():
            moved.remove("torch")  # torch.manual_seed draws nothing
        if moved:
            raise NotFollowed(
                f"draws passed by: {', '.join(moved)} drew from its own state; a NumPy generator is followed if it is "
                "made inside the function, and functions if they are called as numpy.random.rand or random.random"
            )

    def _states(self) -> dict[str, Any]:
        _, key, place, *_ = np.random.get_state(legacy=True)
        states: dict[str, Any] = {
            "torch": torch.get_rng_state().numpy().tobytes(),
            "numpy.random": (key.tobytes(), place),  # type: ignore[union-attr]
        }
        if "beartype" not in sys.modules:  # which draws by `random` to choose what it checks
            states["random"] = random.getstate()
        for number, generator in enumerate(self._generators):
            states[f"NumPy generator {number}"] = str(generator.bit_generator.state)
        return states


def _seeded() -> bytes:
    """The state of torch's generator if it drew nothing since its seed."""
    fresh = torch.Generator().manual_seed(torch.initial_seed())
    return fresh.get_state().numpy().tobytes()
