"""Specs of the regularisers, free of torch."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

from crt_vq.regularizers.rising import RisingSpec
from crtcore.kinds import RegularizerSpec
from crtcore.settings import Optimizer
from crtcore.spec import FILES, FieldError, at_least, between, divides


def _permutation(_: Any, attribute: attrs.Attribute[Any], order: tuple[int, ...]) -> None:
    if sorted(order) != list(range(len(order))):
        raise FieldError(attribute.name, f"expected each position, from 0 on, once, got {order!r}")


@attrs.frozen(kw_only=True)
class CausalSpec(RisingSpec):
    """Base of the regularisers whose head predicts every code of a sample from the latents before it."""

    optimizer: Optimizer = attrs.field(default=Optimizer(learning_rate=3e-3))
    """The optimiser of the head, which must keep up with changing latents."""
    first: Literal["skip", "learned"] = "skip"
    """The first code is not predicted, or predicted from a learned latent (which does not depend on the class)."""
    order: tuple[int, ...] = attrs.field(default=(), validator=_permutation)
    """Every position of a sample in the order of prediction, which should be stage 2's; empty is raster order."""
    head: Literal["transformer", "mixing", "masked"] = attrs.field(
        default="transformer", metadata={"cosmetic": lambda own: own.head == "transformer"}
    )
    """How the latents before are read: by attention; by a learned causal matrix for each of `heads` groups of channels,
    which is attention that looks at positions alone; or all at once by masked linear maps (MADE), which take least time
    for short samples, and weights by the square of the length.
    """
    layers: int = attrs.field(default=2, validator=at_least(0))
    """Blocks of the head (2 is CRT's best of 0 to 12); at 0 it is a linear map of the previous latent."""
    width: int = attrs.field(default=32, validator=at_least(1))
    """Width of the blocks at each position."""
    heads: int = attrs.field(default=4, validator=divides("width"))
    """Attention heads, or groups of channels; `masked` has none."""


def _has_channels(spec: Causal, attribute: attrs.Attribute[Any], reduction: str) -> None:
    allowed = {"l2": ("mean", "sum", "norm"), "cosine": ("mean",), "nll": ("mean", "sum")}.get(spec.error, ())
    if reduction not in allowed:
        expected = " or ".join(map(repr, allowed))
        raise FieldError(attribute.name, f"expected {expected} where the error is {spec.error!r}, got {reduction!r}")


@attrs.frozen(kw_only=True)
class Causal(CausalSpec):
    """Causal regularisation (CRT): a small head predicts each latent from those before it.

    Source: Ramanujan et al. (2024), arXiv:2412.16326; what it leaves open is a field. Germain et al. (2015),
    arXiv:1502.03509, for the head `masked`.
    """

    implementation: ClassVar[str] = "crt_vq.regularizers.causal:causal"

    space: Literal["compared", "raw", "straight-through"] = "compared"
    """What is predicted: latents as they are compared with codes, the encoder's `raw` features, or codes.

    Beware of `raw` if codes are compared by cosine: no other loss bounds the length of features, so the encoder can
    shrink them until the error is 0, without changing an id or what stage 2 has to learn.
    """
    error: Literal["l2", "cosine", "nll"] = "l2"
    """Squared distance, 1 less the cosine, or negative log-likelihood under a Gaussian of independent channels."""
    reduction: Literal["mean", "sum", "norm"] = attrs.field(default="mean", validator=_has_channels)
    """Mean or sum over channels; `norm`, for `l2`, is the distance itself; `cosine` allows only `mean`."""
    detach: Literal["none", "target", "input"] = "none"
    """What gets no gradient: with `target` only the context is moved, with `input` only the predicted latents."""


@attrs.frozen(kw_only=True)
class CausalCE(CausalSpec):
    """Causal regularisation by cross-entropy: a small head predicts each id from the latents before it.

    Source: Wang et al. (2024), arXiv:2410.21264 (LARP, whose weight is 0.06), without its stochastic quantiser and
    scheduled sampling; logits are a linear map, as in github.com/mahdip72/vq_encoder_decoder, not products with codes.
    """

    implementation: ClassVar[str] = "crt_vq.regularizers.causal_ce:causal_ce"

    space: Literal["compared", "raw", "straight-through"] = "straight-through"
    """What the head reads: latents as they are compared with codes, the encoder's `raw` features, or codes."""


@attrs.frozen(kw_only=True)
class Perceptual(RegularizerSpec):
    """Distance of reconstructions to images in the features of VGG16, weighted by human judgements (LPIPS).

    Source: Zhang et al. (2018), arXiv:1801.03924.
    """

    implementation: ClassVar[str] = "crt_vq.regularizers.perceptual:perceptual"

    weights: str = attrs.field(default="", metadata=FILES)
    """Folder with torchvision's `vgg16-397923af.pth` and lpips' `vgg.pth`; if empty, a fixed random network is used."""
    stages: int = attrs.field(default=5, validator=between(1, 5))
    """Stages of the network that are compared; images under 16 by 16 need fewer than 5."""


@attrs.frozen(kw_only=True)
class Adversarial(RegularizerSpec):
    """A patch discriminator that learns to distinguish reconstructions from images, as a loss for the tokenizer.

    Source: Esser et al. (2020), arXiv:2012.09841, section 3.1; the defaults are LlamaGen's, arXiv:2406.06525.
    """

    implementation: ClassVar[str] = "crt_vq.regularizers.adversarial:AdversarialRegularizer"

    weight: float = attrs.field(default=0.5, validator=at_least(0))
    """Weight of the tokenizer's loss; at 0 the tokenizer trains bit for bit as without it."""
    optimizer: Optimizer = attrs.field(default=Optimizer(learning_rate=1e-4, warmup=0.0, decay="constant", beta2=0.95))
    """The optimiser of the discriminator."""
    layers: int = attrs.field(default=3, validator=at_least(1))
    """Times that the discriminator halves an image."""
    channels: int = attrs.field(default=64, validator=at_least(1))
    """Hidden channels of its first layer."""
    start: float = attrs.field(default=0.05, validator=between(0, 1))
    """Fraction of training during which neither the tokenizer nor the discriminator learns from this loss."""
    adaptive: bool = False
    """Scales the loss so that its gradient at the last layer's weight has the norm of that of the tokenizer's own loss.

    The source counts the perceptual loss as the tokenizer's own; here losses of other regularisers are left out.
    """
