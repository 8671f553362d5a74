"""Tests of children that were chosen deterministically: together they are one draw from the target.

Axes: b batch, m nodes (the root counted), v vocabulary.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from crt_verify.rules.tree_batch import TreeBatch, total


def accept_tests(
    batch: TreeBatch, chosen: Bool[Tensor, "b m"], rest: Float[Tensor, "b m"]
) -> tuple[Float[Tensor, "b m"], Float[Tensor, "b m"]]:
    """Gain and bar of the chosen children, tried in order, where `rest` is the mass off all of them."""
    gain = torch.where(chosen & ~batch.repeats, batch.p_token, 0)
    bar, rest = torch.ones_like(gain), rest.clone()
    for node in reversed(range(1, len(batch.node))):
        parent = batch.parents[:, node]
        rest[batch.rows, parent] += gain[:, node]
        bar[:, node] = rest[batch.rows, parent]
    return gain, bar


def without(rows: Float[Tensor, "b m v"], batch: TreeBatch, removed: Bool[Tensor, "b m"]) -> Float[Tensor, "b m v"]:
    """Rows with the ids of some children of each node set to 0."""
    size, most, vocabulary = rows.shape
    place = torch.where(removed, batch.parents * vocabulary + batch.tokens, most * vocabulary)
    flat = torch.nn.functional.pad(rows.flatten(1), (0, 1)).scatter(1, place, 0.0)
    return flat[:, :-1].reshape(size, most, vocabulary)


def mass(batch: TreeBatch, rest: Float[Tensor, "b m v"], scale: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
    """The sum of (rest - scale q)_+ at each node."""
    return total((rest - scale[..., None] * batch.q).clamp(min=0))
