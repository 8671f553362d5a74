"""Sides: one error as two losses, of which each moves what the other holds still.

Axes: b batch, n latents of a sample, d latent width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Sides(NamedTuple):
    """An error, twice."""

    loss: Float[Tensor, ""]
    """Moves the latents."""
    own: Float[Tensor, ""]
    """Moves the parameters."""
    gradient: Float[Tensor, "b n d"]
    """Of the error at the latents."""


def carrying(value: Float[Tensor, ""], sources: Sequence[Tensor], gradients: Sequence[Tensor]) -> Float[Tensor, ""]:
    """`value`, unchanged, with these gradients at these sources and none elsewhere."""
    for source, gradient in zip(sources, gradients, strict=True):
        value = value + ((source - source.detach()) * gradient).sum()
    return value


def sides(error: Callable[[Tensor], Tensor], latents: Float[Tensor, "b n d"], parameters: Sequence[Tensor]) -> Sides:
    """The error for the latents with the parameters held still, and for the parameters with the latents held still.

    Cost: one pass of the error, forward and back, serves both; it has first derivatives only.
    """
    with torch.enable_grad():
        source = latents.detach().requires_grad_()
        value = error(source)
        at_latents, *at_parameters = torch.autograd.grad(value, [source, *parameters])
    value = value.detach()
    return Sides(carrying(value, [latents], [at_latents]), carrying(value, parameters, at_parameters), at_latents)
