"""Decoder: samples ids from a prior exactly, with few calls of it.

Axes: b batch, n ids of a sample, s target calls. Id -1 means absent, only at the right end of a row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, runtime_checkable

import attrs

from crtcore.settings import Sampling
from crtcore.spec import Spec

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor

    from crtcore.kinds.prior import Prior
    from crtcore.settings import Limits


class Request(NamedTuple):
    """What a decoder is asked for: the rows to generate, and how."""

    prompt: Int[Tensor, "b n"]
    """Ids that each row goes on from; -1 where absent."""
    limits: Limits
    sampling: Sampling = Sampling()
    class_ids: Int[Tensor, " b"] | None = None
    """A class for each row, -1 for none; None: no row has one."""
    seeds: Int[Tensor, " b"] | None = None
    """A seed for each row; None: row i has seed i."""

    @property
    def row_seeds(self) -> Int[Tensor, " b"]:
        """The seed of each row."""
        import torch

        return torch.arange(len(self.prompt), device=self.prompt.device) if self.seeds is None else self.seeds


class Generation(NamedTuple):
    """Emitted ids, and the calls that they took."""

    ids: Int[Tensor, "b n"]
    """Emitted ids, without the prompt."""
    accepted: Int[Tensor, "b s"]
    """Drafted ids accepted at each target call; -1: the row was no longer active."""
    target_calls: Int[Tensor, " b"]
    """Calls of the target a row took part in, the first one (its prompt) included."""
    draft_calls: Int[Tensor, " b"]
    """Sequential calls of the draft a row took part in."""
    proposed: Int[Tensor, " b"]
    """Drafted ids that the target verified."""
    seconds: float
    """Wall time of the whole call."""
    notes: tuple[str, ...] = ()
    """What the decoder chose by itself that changes no result, and why, one line each, for the record."""


@runtime_checkable
class Decoder(Protocol):
    """Samples from the distribution of a prior and no other."""

    def generate(self, target: Prior, request: Request, *, draft: Prior | None = None) -> Generation:
        """Ids after the prompt of each row, which depend on its own prompt, class and seed, and on no neighbour.

        Raises: ValueError if the request does not fit; PriorError if a prior breaks its contract where it is read.
        """

    def distribution(
        self, target: Prior, request: Request, *, draft: Prior | None = None
    ) -> dict[tuple[int, ...], float]:
        """The exact distribution of what `generate` emits for one row, in float64, by following every branch.

        For tiny vocabularies only; seeds do not matter.
        """


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
