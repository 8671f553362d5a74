"""Specs of the decoders by shared randomness, free of torch."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from crt_verify.counts import counts
from crtcore.kinds import DecoderSpec
from crtcore.spec import at_least


@attrs.frozen(kw_only=True)
class GumbelList(DecoderSpec):
    """Draft trees and output by one race: each id is the first to arrive, at a rate that is its probability.

    Draft and target share the arrival times of a position, so that they often agree, and an id is accepted if it was
    drafted. The ids of a seed depend on the target alone: they are the same with any draft, any tree, or no draft.
    Source: Daliri et al. (2024), arXiv:2408.07978, for one child of a node; Rowan et al. (2025), arXiv:2506.05632, for
    several with times of their own.
    """

    implementation: ClassVar[str] = "crt_verify.coupling.gumbel_list:GumbelListDecoder"
    drafts: ClassVar[bool] = True

    branching: tuple[int, ...] = attrs.field(default=(3, 1, 1), validator=counts)
    """Children of a node of each level, the root's first; changes no id."""
    siblings: Literal["earliest", "own-times"] = "earliest"
    """The children of a node: the earliest ids under the output's times, or the first under each of several times whose
    least is the output's, as the source has it; changes no id."""


@attrs.frozen(kw_only=True)
class Jacobi(DecoderSpec):
    """Drafts without a draft model: the ids that earlier calls of the target gave at the positions that come.

    Each call verifies a window of them and draws them anew from its own logits, also those behind the first rejection.
    Source: Teng et al. (2024), arXiv:2410.01699, for `independent`; arXiv:2510.24211 for the other couplings.
    """

    implementation: ClassVar[str] = "crt_verify.coupling.jacobi:JacobiDecoder"

    window: int = attrs.field(default=16, validator=at_least(1))
    """Drafted ids that a call verifies."""
    coupling: Literal["maximal", "gumbel", "independent"] = "maximal"
    """How an id that is drawn anew depends on the one before: `maximal` keeps it as often as possible, `gumbel` draws
    both with the arrival times of the position, and `independent` forgets it behind the first rejection."""
