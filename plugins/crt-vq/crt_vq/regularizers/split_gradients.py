"""One error as two losses: one moves the latents with the parameters fixed, the other the reverse.

Axes: b batch, n latents of a sample, d latent width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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


class _Attached(torch.autograd.Function):
    """A value whose gradients are given: one node of the graph, however many sources there are."""

    @staticmethod
    def forward(context: Any, value: Tensor, *sources_and_gradients: Tensor) -> Tensor:
        context.save_for_backward(*sources_and_gradients[len(sources_and_gradients) // 2 :])
        return value.clone()

    @staticmethod
    def backward(context: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        gradients = context.saved_tensors
        return (slopes[0], *(slopes[0] * each for each in gradients), *(None for _ in gradients))


def attach_gradients(
    value: Float[Tensor, ""], sources: Sequence[Tensor], gradients: Sequence[Tensor]
) -> Float[Tensor, ""]:
    """`value`, unchanged, with these gradients at these sources besides its own."""
    attached: Tensor = _Attached.apply(value, *sources, *gradients)  # type: ignore[no-untyped-call]
    return attached


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
