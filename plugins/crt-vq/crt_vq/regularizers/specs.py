"""Specs of the regularisers, free of torch."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

from crtcore.kinds import RegularizerSpec
from crtcore.settings import Optimizer
from crtcore.spec import FieldError, at_least, between, divides


def _permutation(_: Any, attribute: attrs.Attribute[Any], order: tuple[int, ...]) -> None:
    if sorted(order) != list(range(len(order))):
        raise FieldError(attribute.name, f"expected each number from 0 to {len(order) - 1} once, got {order!r}")


@attrs.frozen(kw_only=True)
class ForesightSpec(RegularizerSpec):
    """Base of the regularisers whose head foretells every code of a sample from the latents before it."""

    optimizer: Optimizer = attrs.field(default=Optimizer(learning_rate=3e-3))
    """The optimiser of the head, which has to keep up with latents that move."""
    first: Literal["skip", "learned"] = "skip"
    """The first code is not foretold, or foretold from a latent that is learned (and knows no class)."""
    order: tuple[int, ...] = attrs.field(default=(), validator=_permutation)
    """Every position of a sample in the order of foretelling, which should be stage 2's; empty is raster order."""
    layers: int = attrs.field(default=2, validator=at_least(0))
    """Blocks of the transformer (2 is CRT's best of 0 to 12); at 0 the head is a linear map of the latent before."""
    width: int = attrs.field(default=32, validator=at_least(1))
    """Width of the transformer."""
    heads: int = attrs.field(default=4, validator=divides("width"))
    """Attention heads."""
    start: float = attrs.field(default=0.0, validator=between(0, 1))
    """Fraction of training before which the tokenizer sees nothing; the head learns from the first step."""
    ramp: float = attrs.field(default=0.05, validator=between(0, 1))
    """Fraction of training over which the weight then rises linearly from 0."""

    def rise(self, progress: float) -> float:
        """The share of the weight that counts at `progress`."""
        if progress < self.start:
            return 0.0
        return min((progress - self.start) / self.ramp, 1.0) if self.ramp else 1.0


def _has_channels(spec: Causal, attribute: attrs.Attribute[Any], reduction: str) -> None:
    allowed = {"l2": ("mean", "sum", "norm"), "cosine": ("mean",), "nll": ("mean", "sum")}.get(spec.error, ())
    if reduction not in allowed:
        expected = " or ".join(map(repr, allowed))
        raise FieldError(attribute.name, f"expected {expected} where the error is {spec.error!r}, got {reduction!r}")


@attrs.frozen(kw_only=True)
class Causal(ForesightSpec):
    """Causal regularisation (CRT): a small head predicts each latent from those before it.

    Source: Ramanujan et al. (2024), arXiv:2412.16326; of what it leaves open, the defaults are best supported.
    """

    implementation: ClassVar[str] = "crt_vq.regularizers.causal:causal"

    space: Literal["compared", "raw", "straight-through"] = "compared"
    """Where latents are predicted: features as they are compared with codes, `raw` as the encoder gives them, or codes.

    Beware of `raw` where codes are compared by cosine: no other loss bounds the length of features, so the encoder can
    shrink them until there is no error, without a change in one id or in what stage 2 has to learn.
    """
    error: Literal["l2", "cosine", "nll"] = "l2"
    """Squared distance to the latent, 1 less the cosine, or its surprise under a Gaussian of independent channels."""
    reduction: Literal["mean", "sum", "norm"] = attrs.field(default="mean", validator=_has_channels)
    """Mean or sum over a latent's channels; `norm` is `l2`'s distance itself, and a cosine has nothing to sum."""
    detach: Literal["none", "target", "input"] = "none"
    """What gets no gradient: `target` leaves the context to carry what follows, `input` the latents to be foreseen."""


@attrs.frozen(kw_only=True)
class CausalCE(ForesightSpec):
    """Causal regularisation by cross-entropy: a small head says how likely each id is, from the latents before it.

    Source: Wang et al. (2024), arXiv:2410.21264 (LARP, whose weight is 0.06), without its stochastic quantiser and
    scheduled sampling; logits are a linear map, as in github.com/mahdip72/vq_encoder_decoder, not products with codes.
    """

    implementation: ClassVar[str] = "crt_vq.regularizers.causal_ce:causal_ce"

    space: Literal["compared", "raw", "straight-through"] = "straight-through"
    """What the head reads: features as they are compared with codes, `raw` as the encoder gives them, or codes."""


@attrs.frozen(kw_only=True)
class Perceptual(RegularizerSpec):
    """Distance of reconstructions to images in the features of VGG16, weighed as people see it (LPIPS).

    Source: Zhang et al. (2018), arXiv:1801.03924.
    """

    implementation: ClassVar[str] = "crt_vq.regularizers.perceptual:perceptual"

    weights: str = ""
    """Folder with torchvision's `vgg16-397923af.pth` and lpips' `vgg.pth`; without, a fixed random network is taken."""
    stages: int = attrs.field(default=5, validator=between(1, 5))
    """Stages of the network that are compared: all, or the first few, as images under 16 by 16 need it."""


@attrs.frozen(kw_only=True)
class Adversarial(RegularizerSpec):
    """A patch discriminator that learns to tell reconstructions from images, and what it gives the tokenizer to learn.

    Source: Esser et al. (2020), arXiv:2012.09841, section 3.1; the defaults are LlamaGen's, arXiv:2406.06525.
    """

    implementation: ClassVar[str] = "crt_vq.regularizers.adversarial:Adversary"

    weight: float = attrs.field(default=0.5, validator=at_least(0))
    """Multiplies the loss that the tokenizer sees; 0 leaves the tokenizer bit for bit alone."""
    optimizer: Optimizer = attrs.field(default=Optimizer(learning_rate=1e-4, warmup=0.0, decay="constant", beta2=0.95))
    """The optimiser of the discriminator."""
    layers: int = attrs.field(default=3, validator=at_least(1))
    """Times that the discriminator halves an image."""
    channels: int = attrs.field(default=64, validator=at_least(1))
    """Hidden channels of its first layer."""
    start: float = attrs.field(default=0.05, validator=between(0, 1))
    """Fraction of training before which neither side learns from the other."""
    adaptive: bool = False
    """Scales the loss until its gradient is as large as that of the tokenizer's own, both at the last layer's weight.

    The source counts perceptual losses to the tokenizer's own; here those of other regularisers are left out.
    """
