"""Children that no coin chose: the walk goes where a draw from the target falls.

Axes: b batch, m nodes (the root counted).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from crt_verify.rules.forest import Forest, total


def chances(
    forest: Forest, listed: Bool[Tensor, "b m"], rest: Float[Tensor, "b m"]
) -> tuple[Float[Tensor, "b m"], Float[Tensor, "b m"]]:
    """Gain and bar of listed children, tried in order, where `rest` is the mass off all of them."""
    gain = torch.where(listed & ~forest.repeats, forest.wanted, 0)
    bar, rest = torch.ones_like(gain), rest.clone()
    for node in reversed(range(1, len(forest.node))):
        parent = forest.parents[:, node]
        rest[forest.rows, parent] += gain[:, node]
        bar[:, node] = rest[forest.rows, parent]
    return gain, bar


def without(laws: Float[Tensor, "b m v"], forest: Forest, gone: Bool[Tensor, "b m"]) -> Float[Tensor, "b m v"]:
    """Laws without the ids of some children of each node."""
    size, most, vocabulary = laws.shape
    place = torch.where(gone, forest.parents * vocabulary + forest.tokens, most * vocabulary)
    flat = torch.nn.functional.pad(laws.flatten(1), (0, 1)).scatter(1, place, 0.0)
    return flat[:, :-1].reshape(size, most, vocabulary)


def mass(forest: Forest, rest: Float[Tensor, "b m v"], scale: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
    """What is left at each node once `scale` times the draft's law is taken off."""
    return total((rest - scale[..., None] * forest.q).clamp(min=0))
