"""Readings: what a batch's latents and ids look like while a regulariser is at them.

Axes: b batch, k codes of a sample.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from crtcore.kinds import Encoded


def readings(encoded: Encoded) -> dict[str, float]:
    """What tells a collapse from a gain: the length of features, and how ids are used if there are any.

    Units: `latent_norm` in those of the features, `codes_used` in codes of this batch, `unigram_entropy` in nats an id.
    """
    norm = encoded.features.detach().norm(dim=-1).mean().item()
    return {"latent_norm": norm} | ({} if encoded.ids is None else usage(encoded.ids))


def usage(ids: Int[Tensor, "b k"]) -> dict[str, float]:
    """How many codes are used, and the entropy of ids as if each came alone; absent ones do not count."""
    counts = torch.unique(ids[ids >= 0], return_counts=True)[1].double()
    entropy = torch.special.entr(counts / counts.sum()).sum()
    return {"codes_used": float(len(counts)), "unigram_entropy": entropy.item()}
