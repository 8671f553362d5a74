"""What an experiment generates, besides what it trains; free of torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from crtcore.kinds import Plan


class Generation(NamedTuple):
    """Continuations by one prior."""

    role: str
    """The table of the prior."""
    samples: int
    """Continuations, at most."""
    prompt: int
    """Ids of a prompt, where the dataset does not weight its ids."""
    length: int
    """Ids of a continuation, at most."""
    precision: str
    """Number type of the prior: `float32` or `bfloat16`."""


@runtime_checkable
class Generates(Protocol):
    """An experiment's spec that knows how much a run generates."""

    def generations(self, plan: Plan) -> Sequence[Generation]:
        """Returns what a run of the plan generates."""
