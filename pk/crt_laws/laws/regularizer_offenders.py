"""Regularisers that break one law each: a sound regulariser with a changed penalty."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import attrs
import torch
from torch import Tensor, nn

from crtcore.kinds.regularizer import RegularizerOutput
from crtcore.kinds.tokenizer import Encoded

if TYPE_CHECKING:
    from crt_laws.laws.regularizer_cases import Trial


class Altered(nn.Module):
    """A sound regulariser with a changed penalty; `scale` is a parameter of its own."""

    def __init__(self, trial: Trial, change: Callable[[Altered, Encoded, RegularizerOutput], dict[str, Any]]) -> None:
        super().__init__()
        self.trial = [trial]  # in a list, so that the tokenizer's parameters do not become its own
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))
        self.change = change

    def learned(self) -> list[nn.Parameter]:
        """The parameters of the tokenizer it was built for."""
        return list(cast("nn.Module", self.trial[0].tokenizer).parameters())

    def forward(self, data: Tensor, encoded: Encoded, progress: float) -> RegularizerOutput:
        """The changed penalty."""
        penalty = self.trial[0].regularizer(data, encoded, progress)
        return penalty._replace(**self.change(self, encoded, penalty))


def altered(change: Callable[[Altered, Encoded, RegularizerOutput], dict[str, Any]]) -> Callable[[Trial], Trial]:
    """Changes the penalty of the regulariser under test."""
    return lambda trial: attrs.evolve(trial, regularizer=Altered(trial, change))


def decay(self: Altered, _: Encoded, penalty: RegularizerOutput) -> dict[str, Any]:
    """Decays the tokenizer's weights, whatever the weight of the regulariser."""
    return {"own_loss": penalty.own_loss + sum(parameter.square().sum() for parameter in self.learned())}


def nudge(self: Altered, _: Encoded, penalty: RegularizerOutput) -> dict[str, Any]:
    """Changes the tokenizer's weights in place."""
    for parameter in self.learned():
        parameter.data *= 1.001
    return {}
