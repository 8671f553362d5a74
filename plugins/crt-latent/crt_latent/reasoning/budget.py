"""Budget: what training took, by three measures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from statistics import fmean
from typing import NamedTuple

from torch import nn

from crt_run.training.ids import spread
from crt_run.training.losses import Loss
from crtcore.kinds import Measurement
from crtcore.settings import Training

TIMED = 5
"""Steps that are timed, after one that is not; evenly spaced over the training, as rows can change in length."""


class Budget(NamedTuple):
    """Examples, ids and seconds."""

    examples: float
    tokens: float
    seconds: float

    def measurements(self, prefix: str) -> dict[str, Measurement]:
        """Each by its name."""
        units = {"examples": "examples", "tokens": "ids", "seconds": "seconds"}
        return {f"{prefix}_{name}": Measurement(value, units[name], TIMED) for name, value in self._asdict().items()}

    def plus(self, other: Budget) -> Budget:
        """Both together."""
        return Budget(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def budget(training: Training, tokens: float, seconds: float) -> Budget:
    """That of a stage whose examples have so many ids, and whose steps take so long."""
    examples = training.steps * training.batch
    return Budget(float(examples), examples * tokens, training.steps * seconds)


def step_seconds(training: Training, objective: Callable[[int, float], Loss], modules: Iterable[nn.Module]) -> float:
    """The mean time of a step without its optimiser, which leaves no gradients behind.

    A finished stage may have been trained by another run, elsewhere or with a stop in between, so its own clock says
    nothing; this one says what the steps take here.
    """
    seconds = []
    for step in spread(training.steps, TIMED + 1).tolist():
        began = time.perf_counter()
        objective(step, step / training.steps).total.backward()  # type: ignore[no-untyped-call]
        seconds.append(time.perf_counter() - began)
    for module in modules:
        module.zero_grad()
    return fmean(seconds[1:] or seconds)
