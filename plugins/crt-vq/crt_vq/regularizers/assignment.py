"""Assignments of latents to codes: soft ones, and hard ones that have the gradient of soft ones.

Axes: b batch, n codes of a sample, d latent width, v codes.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crtcore.errors import RunError
from crtcore.kinds import DiscreteBottleneck, Tokenizer


class CodeTable:
    """All codes of a tokenizer, read anew at each call, as training moves them."""

    def __init__(self, tokenizer: Tokenizer, name: str) -> None:
        """Raises RunError, which begins with `name`, if the ids are not each one code of one bottleneck."""
        bottleneck: Any = getattr(tokenizer, "bottleneck", None)
        expected = f"{name}: expected a tokenizer whose ids are each one code of one bottleneck, such as 'vq'"
        if not isinstance(bottleneck, DiscreteBottleneck) or bottleneck.vocabulary is None:
            over = "" if bottleneck is None else f" over {type(bottleneck).__name__}"
            raise RunError(f"{expected}, got {type(tokenizer).__name__}{over}")
        place = next(iter(cast("nn.Module", tokenizer).parameters())).new_zeros(1, 1, bottleneck.width)
        with torch.no_grad():
            if bottleneck(place).codes.shape[1] != 1:
                raise RunError(f"{expected}, got {type(bottleneck).__name__} with several for each feature")
        self.bottleneck = bottleneck
        self.vocabulary = bottleneck.vocabulary

    def __call__(self, device: torch.device) -> Float[Tensor, "v d"]:
        """The codes, with a gradient where they learn by one."""
        with torch.autocast(device.type, enabled=False):
            return self.bottleneck.lookup(torch.arange(self.vocabulary, device=device)[None])[0]


def soft_assignment(
    latents: Float[Tensor, "b n d"], table: Float[Tensor, "v d"], temperature: float
) -> Float[Tensor, "b n v"]:
    """The probabilities of codes: softmax of minus the squared distance over the temperature.

    The square of a latent's length is the same for all codes, and left out.
    Source: Lin et al. (2026), arXiv:2606.32039, the soft read-out.
    """
    with torch.autocast(latents.device.type, enabled=False):
        precise = latents.to(torch.promote_types(latents.dtype, table.dtype))
        return ((2 * precise @ table.T - table.square().sum(-1)) / temperature).softmax(-1)


def hard_assignment(ids: Int[Tensor, "b n"], soft: Float[Tensor, "b n v"]) -> Float[Tensor, "b n v"]:
    """One-hot ids with the gradient of the soft assignment; absent ids have a 1 at code 0."""
    hot = functional.one_hot(ids.clamp(min=0), soft.shape[-1]).to(soft.dtype)
    # The added term is exactly 0, so that the values are one-hot bit for bit.
    return hot + (soft - soft.detach())
