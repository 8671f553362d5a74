"""Codes for the steps of a trace: learned, shuffled or hashed.

Axes: b batch, c ids of the steps, z codes of the steps, j chunks, l ids of a chunk. Id -1 means absent.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional

from crt_latent.mixing.mixed import Chunking
from crt_run.training.ids import batches, spread
from crtcore import Noise
from crtcore.kinds import Dataset

BASE = 1_000_003
"""Base of the hash over the places of a chunk; odd, so that no id is lost when products wrap around."""


def learned(dataset: Dataset, tokenizer: Any, split: str, device: torch.device) -> Int[Tensor, "b z"]:
    """Returns a tokenizer's ids of a whole split."""
    rows = spread(dataset.sizes[split])
    with torch.inference_mode():
        ids = [tokenizer.encode(batch.data.to(device)).cpu() for batch in batches(dataset, split, rows)]
    return torch.cat(ids).clone()


def shuffled(codes: Int[Tensor, "b z"], seed: int) -> Int[Tensor, "b z"]:
    """Permutes the codes of each place among the rows that have one there, so that no count changes."""
    permuted = codes.clone()
    noise = Noise(seed, "shuffled codes")
    for place in range(codes.shape[1]):
        rows = (codes[:, place] >= 0).nonzero()[:, 0]
        permuted[rows, place] = codes[rows[noise.order(len(rows), place)], place]
    return permuted


def hashed(steps: Int[Tensor, "b c"], chunking: Chunking, codes: int) -> Int[Tensor, "b z"]:
    """Returns codes of whole chunks that are a fixed hash of the chunk."""
    length, each = chunking.length, chunking.length // chunking.rate
    whole = functional.pad(steps, (0, -steps.shape[1] % length), value=-1)
    chunks = torch.unflatten(whole, 1, (-1, length))  # b j l
    powers = torch.tensor([pow(BASE, place, 2**63) for place in range(length)])
    keys = (chunks + 2).mul(powers).sum(2) & (2**62 - 1)  # b j
    hashes = Noise(keys[..., None], "hash codes").bits(torch.arange(each)) % codes  # b j each
    return hashes.masked_fill((chunks < 0).any(2)[..., None], -1).flatten(1)
