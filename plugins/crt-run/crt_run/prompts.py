"""Where the prompt of a sample ends, in datasets that weight their ids."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor


def prompt_lengths(weight: Float[Tensor, "b n"]) -> Int[Tensor, " b"]:
    """Returns how many ids each sample's prompt has: those of weight 0 at the beginning."""
    return (weight == 0).long().cumprod(1).sum(1)
