"""Decoder: draws ids from a prior, exactly, with as few calls of it as it can.

Axes: b batch, n ids of a sample, s target calls. Id -1 means absent, only at the right end of a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, runtime_checkable

import attrs

from crtcore.spec import Spec

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor

    from crtcore.kinds.prior import Prior
    from crtcore.settings import Limits, Sampling


class Drawn(NamedTuple):
    """What a decoder drew and what it took."""

    ids: Int[Tensor, "b n"]
    """Emitted ids, without the prompt."""
    accepted: Int[Tensor, "b s"]
    """Drafted ids accepted at each target call; -1: the row was not drawing any more."""
    target_calls: Int[Tensor, " b"]
    """Calls of the target a row took part in, the first one (its prompt) included."""
    draft_calls: Int[Tensor, " b"]
    """Sequential calls of the draft a row took part in."""
    proposed: Int[Tensor, " b"]
    """Drafted ids laid before the target."""
    seconds: float
    """Wall time of the whole call."""


@runtime_checkable
class Decoder(Protocol):
    """Draws from the law of a prior and no other."""

    def draw(
        self,
        target: Prior,
        prompt: Int[Tensor, "b n"],
        *,
        draft: Prior | None,
        limits: Limits,
        sampling: Sampling,
        condition: Int[Tensor, " b"] | None = None,
        seeds: Int[Tensor, " b"],
    ) -> Drawn:
        """Ids after `prompt`; a row depends on its own seed, prompt and condition alone, not on its neighbours."""

    def law(
        self,
        target: Prior,
        prompt: Int[Tensor, "1 n"],
        *,
        draft: Prior | None,
        limits: Limits,
        sampling: Sampling,
        condition: Int[Tensor, "1"] | None = None,
    ) -> dict[tuple[int, ...], float]:
        """The exact law of what `draw` emits, in float64, by following every branch; tiny vocabularies only."""


@attrs.frozen(kw_only=True)
class DecoderSpec(Spec):
    """Base of every decoder's spec."""

    kind: ClassVar[str] = "decoder"
    drafts: ClassVar[bool] = False
    """True: it needs a draft prior."""

    def build(self) -> Decoder:
        """The decoder."""
        built: Decoder = super().build()
        return built
