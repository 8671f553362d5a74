"""What ids cost a prior.

Axes: b batch, n ids of a sample. Id -1 means absent, and costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

if TYPE_CHECKING:
    from crtcore.kinds import Prior

CHUNK = 256
"""Samples that are scored at a time."""


def nats(prior: Prior, ids: Int[Tensor, "b n"], condition: Int[Tensor, " b"] | None) -> Float[Tensor, " b"]:
    """What each sample's ids cost the prior."""
    logits = prior(ids, condition)[:, :-1]  # b n v
    cost = nn.functional.cross_entropy(logits.transpose(1, 2), ids, ignore_index=-1, reduction="none")
    return cost.sum(1)


def scored(prior: Prior, ids: Int[Tensor, "b n"], condition: Int[Tensor, " b"] | None) -> Float[Tensor, " b"]:
    """What each sample's ids cost the prior, a few samples at a time and without a gradient."""
    with torch.inference_mode():
        chunks = torch.split(torch.arange(len(ids), device=ids.device), CHUNK)
        return torch.cat([nats(prior, ids[rows], None if condition is None else condition[rows]) for rows in chunks])
