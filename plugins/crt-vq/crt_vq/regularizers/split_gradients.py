"""One error as two losses: one moves the latents with the parameters fixed, the other the reverse.

Axes: b batch, n latents of a sample, d latent width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class SplitLoss(NamedTuple):
    """One error as two losses of the same value."""

    loss: Float[Tensor, ""]
    """Has gradients at the latents only."""
    own: Float[Tensor, ""]
    """Has gradients at the parameters only."""
    gradient: Float[Tensor, "b n d"]
    """Of the error at the latents."""


def attach_gradients(
    value: Float[Tensor, ""], sources: Sequence[Tensor], gradients: Sequence[Tensor]
) -> Float[Tensor, ""]:
    """`value`, unchanged, with these gradients at these sources and none elsewhere."""
    for source, gradient in zip(sources, gradients, strict=True):
        value = value + ((source - source.detach()) * gradient).sum()
    return value


def split_gradients(
    error: Callable[[Tensor], Tensor], latents: Float[Tensor, "b n d"], parameters: Sequence[Tensor]
) -> SplitLoss:
    """`error` of the latents, as a loss for the latents and a loss for the parameters.

    Cost: one forward and one backward pass of the error serve both; only first derivatives exist.
    """
    with torch.enable_grad():
        source = latents.detach().requires_grad_()
        value = error(source)
        at_latents, *at_parameters = torch.autograd.grad(value, [source, *parameters])
    value = value.detach()
    return SplitLoss(
        attach_gradients(value, [latents], [at_latents]), attach_gradients(value, parameters, at_parameters), at_latents
    )
