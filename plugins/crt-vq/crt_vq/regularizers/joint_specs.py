"""Specs of the regularisers that train a small generator beside the tokenizer, or price its codes; free of torch."""

from __future__ import annotations

from typing import ClassVar, Literal

import attrs

from crt_vq.regularizers.rising import RisingSpec
from crtcore.kinds import RegularizerSpec
from crtcore.settings import Optimizer
from crtcore.spec import above, at_least, divides


@attrs.frozen(kw_only=True)
class JointSpec(RisingSpec):
    """Base of the regularisers with a small transformer over ids that trains beside the tokenizer.

    It reads no class, as regularisers get none; stage 2 trains a new prior.
    """

    optimizer: Optimizer = attrs.field(default=Optimizer(learning_rate=3e-3))
    """The optimiser of the transformer, which must keep up with changing ids."""
    temperature: float = attrs.field(default=0.1, validator=above(0))
    """Temperature of the soft assignment: a code is e times less likely for each such step in squared distance."""
    layers: int = attrs.field(default=2, validator=at_least(1))
    """Blocks of the transformer."""
    width: int = attrs.field(default=32, validator=at_least(1))
    """Width of the transformer."""
    heads: int = attrs.field(default=4, validator=divides("width"))
    """Attention heads."""


@attrs.frozen(kw_only=True)
class SoftReadout(JointSpec):
    """Guided end-to-end training: a generator's alignment loss reaches the tokenizer through soft ids (GEAR).

    The generator learns hard ids and to align what it computes before each cell with that cell's target. The tokenizer
    gets the alignment alone, with the generator fixed, read out of soft assignments; the next-id loss never reaches it.
    The source aligns with features of DINOv2 and conditions on the class; here the target of a cell is its pixels, and
    no class is read.
    Source: Lin et al. (2026), arXiv:2606.32039; temperature, weight and depth as in scripts/train/train_gear.sh of
    github.com/Tencent-Hunyuan/GEAR.
    """

    implementation: ClassVar[str] = "crt_vq.regularizers.soft_readout:SoftReadoutRegularizer"

    weight: float = attrs.field(default=0.5, validator=at_least(0))
    """Weight of the alignment in the tokenizer's loss; at 0 the tokenizer trains bit for bit as without it."""
    own_weight: float = attrs.field(default=0.5, validator=at_least(0))
    """Weight of the alignment in the generator's own loss, beside the next-id loss."""


@attrs.frozen(kw_only=True)
class EndToEnd(JointSpec):
    """A generator's next-id loss, with its gradient to the tokenizer: the control in which codes may collapse.

    A low entropy of ids makes this loss small. GEAR reports that it collapses codes through the straight-through
    estimator; how its authors pass the gradient to the id that is predicted is not public, so it is a field.
    Source: Lin et al. (2026), arXiv:2606.32039, the straight-through baseline.
    """

    implementation: ClassVar[str] = "crt_vq.regularizers.end_to_end:EndToEndRegularizer"

    read_out: Literal["straight-through", "soft"] = "straight-through"
    """What the generator reads and predicts: hard ids with the gradient of soft ones, or soft ones themselves."""
    through: Literal["context", "target", "both"] = "both"
    """Where the gradient goes: to the ids that are read, to those that are predicted, or to both."""


@attrs.frozen(kw_only=True)
class MatchedRate(RegularizerSpec):
    """The distance of the entropy of a batch's ids from a target: a lower rate without any predictability.

    It is the control of regularisers that also lower the rate. The entropy is that of one id, without context; a code
    length also counts what a prior gains from context. It is ours, from no paper; a codebook of fewer codes is the
    other control of the same kind.
    """

    implementation: ClassVar[str] = "crt_vq.regularizers.matched_rate:MatchedRateRegularizer"

    bits: float = attrs.field(validator=at_least(0))
    """Entropy of an id to reach, in bits."""
    temperature: float = attrs.field(default=0.1, validator=above(0))
    """Temperature of the soft assignment, which has the gradient."""
