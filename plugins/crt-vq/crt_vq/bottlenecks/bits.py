"""Codes that are corners of a cube: one bit for each channel, channel 0 being the lowest bit of an id.

Axes: w channels.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from crt_nn.ranges import check_ids
from crt_nn.ranks import batch_mean


def to_ids(bits: Bool[Tensor, "*many w"]) -> Int[Tensor, "*many"]:
    """The ids with these bits."""
    return (bits.long() << torch.arange(bits.shape[-1], device=bits.device)).sum(-1)


def corners(bits: Bool[Tensor, "*many w"], like: Tensor) -> Float[Tensor, "*many w"]:
    """1 for a bit that is set and -1 for one that is not, in the type of `like`."""
    return bits.to(like.dtype) * 2 - 1


def to_bits(ids: Int[Tensor, "*many"], width: int) -> Bool[Tensor, "*many {width}"]:
    """The bits of ids.

    Raises: ValueError if an id is absent or has more bits than there are channels.
    """
    check_ids(ids, 2**width)
    return (ids.unsqueeze(-1) >> torch.arange(width, device=ids.device) & 1).bool()


def entropy_gap(logits: Float[Tensor, "*many w"]) -> Float[Tensor, ""]:
    """Mean entropy of the bits less the entropy of the mean bits: small if bits are certain and all codes are used.

    Units: nats a feature.
    Source: Yu et al. (2023), arXiv:2310.05737, eq. 5; Zhao et al. (2024), arXiv:2406.07548, section 4.2: bits of a
    feature are independent; those of the mean are assumed to be, which bounds its entropy from above.
    Cost: linear in channels; the 2**w codes are never enumerated.
    """
    own = (functional.softplus(logits) - logits * logits.sigmoid()).sum(-1).mean()
    mean = batch_mean(logits.sigmoid().flatten(0, -2))
    # At 0 and 1 the slope of the entropy is infinite, and infinity times 0 is NaN.
    margin = torch.finfo(mean.dtype).eps
    mean = mean.clamp(margin, 1 - margin)
    total: Tensor = (torch.special.entr(mean) + torch.special.entr(1 - mean)).sum()
    return own - total
