"""Settings: plain TOML tables that are no components (training, optimiser, sampling, limits)."""

from __future__ import annotations

from typing import Literal

import attrs

from crtcore.spec import COSMETIC, FieldError, above, at_least, at_most_field, below, between, whole


@attrs.frozen(kw_only=True)
class Optimizer:
    """AdamW, with the learning rate's course and a bound on the gradient's norm."""

    learning_rate: float = attrs.field(default=1e-3, validator=above(0))
    """Peak step size."""
    warmup: float = attrs.field(default=0.05, validator=between(0, 1))
    """Fraction of training over which the step size rises from 0."""
    decay: Literal["constant", "cosine"] = "cosine"
    """What the step size does after the warm-up; `cosine` ends at 0."""
    beta1: float = attrs.field(default=0.9, validator=[at_least(0), below(1)])
    """Decay of the first moment."""
    beta2: float = attrs.field(default=0.99, validator=[at_least(0), below(1)])
    """Decay of the second moment."""
    weight_decay: float = attrs.field(default=0.0, validator=at_least(0))
    """Decoupled weight decay, on parameters with two or more axes."""
    clip: float = attrs.field(default=1.0, validator=above(0))
    """Bound on the gradient's norm over this optimiser's parameters."""


@attrs.frozen(kw_only=True)
class Training:
    """How one stage is trained: a table `[training.STAGE]`."""

    steps: int = attrs.field(validator=at_least(1))
    """Optimiser steps."""
    batch: int = attrs.field(default=128, validator=at_least(1))
    """Samples of one step."""
    optimizer: Optimizer = Optimizer()
    """The optimiser of the stage's main part."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What matrix products are taken in; weights and their optimiser stay in float32."""
    compile: bool = attrs.field(default=False, metadata={"cosmetic": lambda own: own.precision == "float32"})
    """Train the stage's main part as torch.compile makes it: in float32 results agree to rounding, in bfloat16 not."""
    accumulate: int = attrs.field(
        default=1, validator=[at_least(1), at_most_field("batch")],
        metadata={"cosmetic": lambda own: own.accumulate == 1 or own.precision == "float32"},
    )  # fmt: skip
    """Parts of a step's batch that are computed one after another, for less memory: results agree to rounding."""
    sharding: Literal["none", "full"] = attrs.field(default="none", metadata=COSMETIC)
    """What ranks share of a prior: batches, or with `full` weights and their optimiser too, cut over them by FSDP2."""
    checkpoint: int = attrs.field(default=0, validator=at_least(0), metadata=COSMETIC)
    """Steps between checkpoints; 0: as many as keep the time of saving below 1 %. Changes no result."""

    def __attrs_post_init__(self) -> None:
        if self.compile and self.sharding == "full":
            raise FieldError("compile", "expected false where sharding is 'full', got true")


@attrs.frozen(kw_only=True)
class Sampling:
    """How logits become the distribution that is sampled: table `[sampling]`.

    The contract of every decoder: `crt_run.sampling.probabilities` treats the logits of target and draft identically,
    bans included, and renormalises; generated rows follow the distribution that it makes of the target's logits.
    """

    banned: tuple[int, ...] = attrs.field(default=(), validator=attrs.validators.deep_iterable(whole))
    """Ids that are never drawn, as if the vocabulary did not have them: their logits are -inf before anything else."""
    temperature: float = attrs.field(default=1.0, validator=at_least(0))
    """Divides the logits; 0 takes the first of the largest."""
    top_k: int = attrs.field(default=0, validator=whole)
    """Keep the k most likely ids, of equally likely ones the smaller; 0 keeps all."""
    top_p: float = attrs.field(default=1.0, validator=between(0, 1))
    """Keep the smallest set of most likely ids with at least this mass."""
    min_p: float = attrs.field(default=0.0, validator=between(0, 1))
    """Keep ids at least this likely relative to the most likely one."""


@attrs.frozen(kw_only=True)
class Limits:
    """When a decoder stops."""

    length: int = attrs.field(validator=whole)
    """Most ids to emit, a stop id included."""
    stop: tuple[int, ...] = attrs.field(default=(), validator=attrs.validators.deep_iterable(whole))
    """Ids after which a row ends; the id itself is emitted."""
