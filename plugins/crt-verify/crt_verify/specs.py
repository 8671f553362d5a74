"""Specs of the decoders, free of torch: each is a drafter and the rule that verifies its trees."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar, Literal

import attrs

from crt_verify.counts import counts
from crtcore.kinds import DecoderSpec
from crtcore.spec import COSMETIC, at_least

if TYPE_CHECKING:
    from crt_verify.drafters import Beam, Branching, Chain, Drafter, GreedyTop, Likeliest, Paths


@attrs.frozen(kw_only=True)
class TreeDecoding(DecoderSpec):
    """Base of the decoders by draft trees: a drafter and a verification rule."""

    implementation: ClassVar[str] = "crt_verify.tree_decoder:tree_decoder"
    drafts: ClassVar[bool] = True
    rule: ClassVar[str]

    verification: Literal["auto", "kernels", "torch"] = attrs.field(default="auto", metadata=COSMETIC)
    """What verifies trees; `auto` is the kernels where they compile, else torch. The ids are the same."""

    @property
    @abc.abstractmethod
    def drafter(self) -> Drafter:
        """How trees are sampled from the draft."""


@attrs.frozen(kw_only=True)
class SpeculativeDecoding(TreeDecoding):
    """Speculative decoding: the draft proposes a chain of ids, of which the target accepts a prefix.

    Source: Leviathan et al. (2023), arXiv:2211.17192, algorithm 1; Chen et al. (2023), arXiv:2302.01318, algorithm 2.
    """

    rule: ClassVar[str] = "single"

    length: int = attrs.field(default=4, validator=at_least(1))
    """Drafted ids a round."""

    @property
    def drafter(self) -> Chain:
        """A chain."""
        from crt_verify.drafters import Chain

        return Chain(length=self.length)


@attrs.frozen(kw_only=True)
class BlockVerification(TreeDecoding):
    """Block verification: a drafted chain is verified as a whole, which is never worse than id by id.

    Source: Sun et al. (2025), arXiv:2403.10444.
    """

    rule: ClassVar[str] = "block"

    length: int = attrs.field(default=4, validator=at_least(1))
    """Drafted ids a round."""

    @property
    def drafter(self) -> Chain:
        """A chain."""
        from crt_verify.drafters import Chain

        return Chain(length=self.length)


@attrs.frozen(kw_only=True)
class SpecTr(TreeDecoding):
    """SpecTr: independent drafted paths, verified together at each id by k-sequential selection.

    Source: Sun et al. (2023), arXiv:2310.15141.
    """

    rule: ClassVar[str] = "kseq"

    paths: int = attrs.field(default=3, validator=at_least(1))
    """Paths a round."""
    length: int = attrs.field(default=3, validator=at_least(1))
    """Drafted ids of a path."""

    @property
    def drafter(self) -> Paths:
        """Independent paths."""
        from crt_verify.drafters import Paths

        return Paths(paths=self.paths, length=self.length)


@attrs.frozen(kw_only=True)
class MultiBlock(TreeDecoding):
    """Block verification of independent drafted paths: from the leaves, which is never worse than of one path.

    Source: this package, `crt_verify.rules.multi_block`.
    """

    rule: ClassVar[str] = "multi-block"

    paths: int = attrs.field(default=3, validator=at_least(1))
    """Paths a round."""
    length: int = attrs.field(default=3, validator=at_least(1))
    """Drafted ids of a path."""

    @property
    def drafter(self) -> Paths:
        """Independent paths."""
        from crt_verify.drafters import Paths

        return Paths(paths=self.paths, length=self.length)


@attrs.frozen(kw_only=True)
class RSDC(TreeDecoding):
    """Recursive speculative decoding with constant branching: siblings sampled without replacement, tested in turn.

    Source: Jeon et al. (2024), arXiv:2402.14160, RSD-C.
    """

    rule: ClassVar[str] = "recursive"

    branching: tuple[int, ...] = attrs.field(default=(3, 1, 1), validator=counts)
    """Children of a node of each level, the root's first."""

    @property
    def drafter(self) -> Branching:
        """Trees of distinct siblings."""
        from crt_verify.drafters import Branching

        return Branching(branching=self.branching)


@attrs.frozen(kw_only=True)
class RSDS(TreeDecoding):
    """Recursive speculative decoding with a stochastic beam: distinct paths of each length, siblings tested in turn.

    Source: Jeon et al. (2024), arXiv:2402.14160, RSD-S.
    """

    rule: ClassVar[str] = "recursive"

    width: int = attrs.field(default=3, validator=at_least(1))
    """Paths that the beam keeps at each length."""
    length: int = attrs.field(default=3, validator=at_least(1))
    """Drafted ids of a path."""

    @property
    def drafter(self) -> Beam:
        """Stochastic beams."""
        from crt_verify.drafters import Beam

        return Beam(width=self.width, length=self.length)


@attrs.frozen(kw_only=True)
class TraversalVerification(TreeDecoding):
    """Traversal verification: trees of distinct siblings, verified from the leaves to the root.

    Source: Weng et al. (2025), arXiv:2505.12398.
    """

    rule: ClassVar[str] = "traversal"

    branching: tuple[int, ...] = attrs.field(default=(3, 1, 1), validator=counts)
    """Children of a node of each level, the root's first."""

    @property
    def drafter(self) -> Branching:
        """Trees of distinct siblings."""
        from crt_verify.drafters import Branching

        return Branching(branching=self.branching)


@attrs.frozen(kw_only=True)
class GreedyTree(TreeDecoding):
    """Trees of the draft's most likely ids and one sampled id under each node, verified by the optimal rule for them.

    Source: Hu et al. (2025), arXiv:2502.18779.
    """

    rule: ClassVar[str] = "greedy"

    branching: tuple[int, ...] = attrs.field(default=(3, 1, 1), validator=counts)
    """Children of a node of each level, the root's first."""

    @property
    def drafter(self) -> GreedyTop:
        """The most likely ids and one more."""
        from crt_verify.drafters import GreedyTop

        return GreedyTop(branching=self.branching)


@attrs.frozen(kw_only=True)
class LikeliestTree(TreeDecoding):
    """Trees of the draft's likeliest paths, of which the walk of an id drawn from the target at each node is accepted.

    Nothing is sampled from the draft, so that greedy decoding gains by wide trees, too.
    Source: Li et al. (2024), arXiv:2406.16858.
    """

    rule: ClassVar[str] = "target-only"

    width: int = attrs.field(default=2, validator=at_least(1))
    """Paths of each length that are looked at."""
    length: int = attrs.field(default=2, validator=at_least(1))
    """Drafted ids of a path at most."""
    size: int = attrs.field(default=2, validator=at_least(1))
    """Drafted ids of a round: the likeliest of those."""

    @property
    def drafter(self) -> Likeliest:
        """The likeliest paths."""
        from crt_verify.drafters import Likeliest

        return Likeliest(width=self.width, length=self.length, size=self.size)
