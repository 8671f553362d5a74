"""Codes for the steps of a trace: learned, or controls that know less of them.

Axes: b batch, c ids of the steps, z codes of the steps, j chunks, l ids of a chunk. Id -1 means absent.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional

from crt_latent.mixing.mixed import Chunking
from crt_latent.traces import Trace
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
    """Permutes the codes of each place among the rows that have one there, so that no count changes.

    Places are permuted apart, so that the codes of a row are of different problems; at each place a row keeps its own
    by chance, one row in the mean.
    """
    permuted = codes.clone()
    noise = Noise(seed, "shuffled codes")
    for place in range(codes.shape[1]):
        rows = (codes[:, place] >= 0).nonzero()[:, 0]
        permuted[rows, place] = codes[rows[noise.order(len(rows), place)], place]
    return permuted


def hashed(steps: Int[Tensor, "b c"], chunking: Chunking, codes: int, seed: int) -> Int[Tensor, "b z"]:
    """Returns codes of whole chunks that are a hash of the chunk; each seed has its own."""
    chunks = _chunks(steps, chunking)
    hashes = Noise(_key(chunks)[..., None], f"hash codes {seed}").bits(torch.arange(chunking.each)) % codes  # b j each
    return _of_whole(chunks, hashes)


def ids_hashed(steps: Int[Tensor, "b c"], chunking: Chunking, codes: int, seed: int) -> Int[Tensor, "b z"]:
    """Returns codes of whole chunks that are each a hash of the ids it stands for; each seed has its own."""
    chunks = _chunks(steps, chunking)
    keys = _key(torch.unflatten(chunks, 2, (chunking.each, -1)))
    hashes = Noise(keys, f"codes of ids {seed}").bits(0) % codes  # b j each
    return _of_whole(chunks, hashes)


def prompt_hashed(trace: Trace, chunking: Chunking, codes: int, seed: int) -> Int[Tensor, "b z"]:
    """Returns codes of whole chunks that are a hash of the prompt and of their place; each seed has its own."""
    chunks, each = _chunks(trace.steps, chunking), chunking.each
    places = torch.arange(chunks.shape[1] * each)
    hashes = Noise(_key(trace.prompt)[:, None], f"codes of a prompt {seed}").bits(places) % codes  # b j*each
    return _of_whole(chunks, torch.unflatten(hashes, 1, (-1, each)))


def fixed(steps: Int[Tensor, "b c"], chunking: Chunking, codes: int, seed: int) -> Int[Tensor, "b z"]:
    """Returns codes of whole chunks that depend on the seed and their place alone: the same for every problem."""
    chunks, each = _chunks(steps, chunking), chunking.each
    drawn = Noise(seed, "fixed codes").bits(torch.arange(chunks.shape[1] * each)) % codes
    return _of_whole(chunks, torch.unflatten(drawn, 0, (-1, each)).expand(len(steps), -1, -1))


def _chunks(steps: Int[Tensor, "b c"], chunking: Chunking) -> Int[Tensor, "b j l"]:
    whole = functional.pad(steps, (0, -steps.shape[1] % chunking.length), value=-1)
    return torch.unflatten(whole, 1, (-1, chunking.length))


def _key(ids: Int[Tensor, "... l"]) -> Int[Tensor, "..."]:
    """Returns a number for each row of ids, absent ones included."""
    powers = torch.tensor([pow(BASE, place, 2**63) for place in range(ids.shape[-1])])
    return (ids + 2).mul(powers).sum(-1) & (2**62 - 1)


def _of_whole(chunks: Int[Tensor, "b j l"], codes: Int[Tensor, "b j each"]) -> Int[Tensor, "b z"]:
    """Returns the codes of chunks without an absent id, and -1 in place of the others."""
    return codes.masked_fill((chunks < 0).any(2)[..., None], -1).flatten(1)
