"""What ids cost a prior.

Axes: b batch, n ids of a sample. Id -1 means absent, and costs nothing.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Shaped
    from torch import Tensor

    from crtcore.kinds import Prior
    from crtcore.noise import Noise

CHUNK = 256
"""Samples that are scored at a time."""


def nats(
    prior: Prior, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None,
    weight: Float[Tensor, "b n"] | None = None, *, noise: Noise | None = None,
) -> Float[Tensor, " b"]:  # fmt: skip
    """What each sample's ids cost the prior, each id as often as its `weight` says; None: all count alike.

    Of logits in half precision they are float32. Cost: the logits are read as they lie, the row behind the last id too;
    moving or cutting them first takes twice the time of a whole training step where the vocabulary is large.
    """
    import torch
    from torch import nn

    wanted = nn.functional.pad(ids, (0, 1), value=-1)  # b n+1
    logits = prior(ids, class_ids, noise=noise).flatten(0, 1)
    if logits.dtype in (torch.bfloat16, torch.float16):  # nats would be rounded to three digits, and their sum again
        logits = logits.float()
    cost = nn.functional.cross_entropy(logits, wanted.flatten(), ignore_index=-1, reduction="none").view_as(wanted)
    return cost.sum(1) if weight is None else (cost[:, :-1] * weight).sum(1)


def scored(
    prior: Prior, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None,
    weight: Float[Tensor, "b n"] | None = None,
) -> Float[Tensor, " b"]:  # fmt: skip
    """What each sample's ids cost the prior, a few samples at a time and without a gradient."""
    import torch

    with torch.inference_mode():
        parts = [repeat(None) if each is None else torch.split(each, CHUNK) for each in (ids, class_ids, weight)]
        return torch.cat([nats(prior, *chunk) for chunk in zip(*parts, strict=False)])


def counted(ids: Int[Tensor, "b n"], weight: Float[Tensor, "b n"] | None = None) -> Shaped[Tensor, ""]:
    """How many ids there are in all, each counted as often as its `weight` says."""
    present = ids >= 0
    return present.sum() if weight is None else (present * weight).sum()
