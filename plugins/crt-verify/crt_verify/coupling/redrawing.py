"""How a position's id is drawn anew once its row has changed: what each coupling does.

The maximal coupling keeps an id x that was drawn from q with the chance min(1, p(x) / q(x)), and else draws from
(p - q)_+. The id that results has the distribution p, and differs as seldom as it can.
Axes: b batch, w positions, v vocabulary.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from crt_run.sampling import pick
from crt_verify.coupling.race import Race
from crtcore import Noise

COIN, DRAW = 0, 1
"""What an integer is for."""


def keep_chance(p_token: Float[Tensor, "*b"], q_token: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """The chance that an id drawn from q is kept, by its probabilities before (q, not 0) and now (p), in float64."""
    return (p_token.double() / q_token.double()).clamp(max=1)


def residual(p: Float[Tensor, "*b v"], q: Float[Tensor, "*b v"]) -> Float[Tensor, "*b v"]:
    """The distribution of an id that replaces one that is not kept, in float64; p if nothing is left by rounding."""
    rest = (p.double() - q.double()).clamp(min=0)
    mass = rest.sum(-1, keepdim=True)
    return torch.where(mass * 2.0**60 >= 1, rest / torch.where(mass > 0, mass, 1), p.double())


@runtime_checkable  # so that run-time type checkers accept it
class Coupling(Protocol):
    """How a window of ids is drawn: at first, and once the rows have changed."""

    def fresh(self, p: Float[Tensor, "b w v"], position: Int[Tensor, " b"], first: int) -> Int[Tensor, "b w"]:
        """Ids drawn from the rows p, for positions from `position + first` on; a call starts at `position`."""

    def redrawn(
        self,
        p: Float[Tensor, "b w v"],
        q: Float[Tensor, "b w v"],
        drafts: Int[Tensor, "b w"],
        there: Bool[Tensor, "b w"],
        position: Int[Tensor, " b"],
    ) -> Int[Tensor, "b w"]:
        """Ids for positions from `position` on: each has the distribution p if its draft, where there, has q."""


class Shared:
    """Draws all ids of a position by the same arrival times."""

    def __init__(self, seeds: Int[Tensor, " b"], vocabulary: int) -> None:
        self.race = Race(seeds, vocabulary)

    def fresh(self, p: Float[Tensor, "b w v"], position: Int[Tensor, " b"], first: int) -> Int[Tensor, "b w"]:
        """Ids at positions `position + first` and those after."""
        return self.race.draw(p, position[:, None] + first + torch.arange(p.shape[1], device=p.device))

    def redrawn(
        self,
        p: Float[Tensor, "b w v"],
        q: Float[Tensor, "b w v"],
        drafts: Int[Tensor, "b w"],
        there: Bool[Tensor, "b w"],
        position: Int[Tensor, " b"],
    ) -> Int[Tensor, "b w"]:
        """The first to arrive under the new rows, whatever was drafted."""
        return self.fresh(p, position, 0)


class Coins:
    """Draws by integers that no other call uses: they are addressed by the position at which a call starts."""

    def __init__(self, seeds: Int[Tensor, " b"], *, independent: bool) -> None:
        self.noise = Noise(seeds[:, None], "jacobi")
        self.independent = independent

    def integers(self, position: Int[Tensor, " b"], first: int, count: int, purpose: int) -> Int[Tensor, "b w"]:
        """32 bits for each of `count` columns of a call, from column `first` on."""
        return self.noise.bits(position[:, None], first + torch.arange(count, device=position.device), purpose)

    def fresh(self, p: Float[Tensor, "b w v"], position: Int[Tensor, " b"], first: int) -> Int[Tensor, "b w"]:
        """Ids drawn from the rows p."""
        return _any(pick(p, self.integers(position, first, p.shape[1], DRAW)), p)

    def redrawn(
        self,
        p: Float[Tensor, "b w v"],
        q: Float[Tensor, "b w v"],
        drafts: Int[Tensor, "b w"],
        there: Bool[Tensor, "b w"],
        position: Int[Tensor, " b"],
    ) -> Int[Tensor, "b w"]:
        """Drafts that are kept, and ids in place of the others and of those that are not there."""
        at = drafts.clamp(min=0)[..., None]
        chance = keep_chance(p.gather(-1, at)[..., 0], q.gather(-1, at)[..., 0])
        kept = (self.integers(position, 0, p.shape[1], COIN) < chance * 2.0**32) & there
        if self.independent:
            reached = torch.cat([torch.ones_like(kept[:, :1]), kept[:, :-1].long().cumprod(-1) > 0], 1)
            there = there & reached
        weights = torch.where(there[..., None], residual(p, q), p.double())
        drawn = _any(pick(weights, self.integers(position, 0, p.shape[1], DRAW)), p)
        return torch.where(kept & there, drafts, drawn)


def _any(ids: Int[Tensor, "b w"], rows: Float[Tensor, "b w v"]) -> Int[Tensor, "b w"]:
    """The ids, and any id where a row is no distribution, as one after an absent id may be."""
    return ids.clamp(0, rows.shape[-1] - 1)
