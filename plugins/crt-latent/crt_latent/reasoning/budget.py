"""Cost of a training in examples, ids and seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from statistics import fmean
from typing import NamedTuple

import torch
from torch import nn

from crt_run.training.ids import spread
from crt_run.training.losses import Loss
from crtcore.kinds import Measurement
from crtcore.settings import Training

TIMED = 5
"""Timed steps, after one warm-up; evenly spaced over the training, as lengths of rows can change."""


class Budget(NamedTuple):
    """Examples, ids and seconds."""

    examples: float
    tokens: float
    seconds: float

    def measurements(self, prefix: str) -> dict[str, Measurement]:
        """Returns measurements by name."""
        units = {"examples": "examples", "tokens": "ids", "seconds": "seconds"}
        return {f"{prefix}_{name}": Measurement(value, units[name], TIMED) for name, value in self._asdict().items()}

    def plus(self, other: Budget) -> Budget:
        """Returns the sum."""
        return Budget(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def budget(training: Training, tokens: float, seconds: float) -> Budget:
    """Returns the budget of a stage with `tokens` ids an example and `seconds` a step."""
    examples = training.steps * training.batch
    return Budget(float(examples), examples * tokens, training.steps * seconds)


def step_seconds(training: Training, objective: Callable[[int, float], Loss], modules: Iterable[nn.Module]) -> float:
    """Measures the mean time of a step without its optimiser, in seconds, and clears gradients.

    A finished stage may have been trained elsewhere or with a stop in between, so that its own time is not comparable.
    A step is taken whole here, and uncompiled.
    """
    modules = list(modules)
    device = next((each.device for module in modules for each in module.parameters()), torch.device("cpu"))
    seconds = []
    for step in spread(training.steps, TIMED + 1).tolist():
        began = _now(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=training.precision == "bfloat16"):
            loss = objective(step, step / training.steps)
        loss.total.backward()  # type: ignore[no-untyped-call]
        seconds.append(_now(device) - began)
    for module in modules:
        module.zero_grad()
    return fmean(seconds[1:] or seconds)


def _now(device: torch.device) -> float:
    """Seconds of a clock, once the device has done its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
