"""Regularisers that break one law each: a sound one inside, and its penalty changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import attrs
import torch
from torch import Tensor, nn

from crtcore.kinds.regularizer import Penalty
from crtcore.kinds.tokenizer import Encoded

if TYPE_CHECKING:
    from crt_laws.laws.regularizer_cases import Trial


class Altered(nn.Module):
    """A regulariser whose penalty is changed, with the tokenizer at hand; `scale` is a parameter of its own."""

    def __init__(self, trial: Trial, change: Callable[[Altered, Encoded, Penalty], dict[str, Any]]) -> None:
        super().__init__()
        self.trial = [trial]  # in a list, so that the tokenizer's parameters do not become its own
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))
        self.change = change

    def learned(self) -> list[nn.Parameter]:
        """The parameters of the tokenizer it was built for."""
        return list(cast("nn.Module", self.trial[0].tokenizer).parameters())

    def forward(self, data: Tensor, encoded: Encoded, progress: float) -> Penalty:
        """The penalty, changed."""
        penalty = self.trial[0].regularizer(data, encoded, progress)
        return penalty._replace(**self.change(self, encoded, penalty))


def altered(change: Callable[[Altered, Encoded, Penalty], dict[str, Any]]) -> Callable[[Trial], Trial]:
    """Alters the regulariser on trial."""
    return lambda trial: attrs.evolve(trial, regularizer=Altered(trial, change))


def decay(self: Altered, _: Encoded, penalty: Penalty) -> dict[str, Any]:
    """A decay of the tokenizer's weights that no weight of the regulariser scales."""
    return {"own": penalty.own + sum(parameter.square().sum() for parameter in self.learned())}


def nudge(self: Altered, _: Encoded, penalty: Penalty) -> dict[str, Any]:
    """Moves the tokenizer's weights by hand."""
    for parameter in self.learned():
        parameter.data *= 1.001
    return {}
