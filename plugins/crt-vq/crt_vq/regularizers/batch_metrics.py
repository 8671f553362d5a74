"""Metrics of a batch's features and ids that reveal a collapse while a regulariser is at work.

Axes: b batch, k codes of a sample.
"""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from crt_nn.ranks import gathered
from crtcore.kinds import Encoded


def batch_metrics(encoded: Encoded) -> dict[str, float]:
    """The mean length of features and, if there are ids, how they are used.

    Units: `latent_norm` in those of the features, `codes_used` in codes of this batch, `unigram_entropy` in nats an id.
    """
    norm = encoded.features.detach().norm(dim=-1).mean().item()
    return {"latent_norm": norm} | ({} if encoded.ids is None else id_usage(gathered(encoded.ids)))


def id_usage(ids: Int[Tensor, "b k"]) -> dict[str, float]:
    """How many codes are used, and the entropy of their shares; absent ids do not count."""
    counts = torch.unique(ids[ids >= 0], return_counts=True)[1].double()
    entropy = torch.special.entr(counts / counts.sum()).sum()
    return {"codes_used": float(len(counts)), "unigram_entropy": entropy.item()}
