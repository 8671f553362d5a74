"""Replaces chunks of the steps by their codes, in brackets, and takes mixed steps apart again.

Axes: b batch, c ids of the steps, z codes of the steps, j chunks of the steps. Id -1 means absent.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn import functional

from crt_latent.mixing.alphabet import Alphabet
from crt_latent.traces import Trace, compact, lengths


class Chunking(NamedTuple):
    """Ids of a chunk, and ids for each code, a divisor of `length`."""

    length: int
    rate: int

    @property
    def each(self) -> int:
        """Codes of a chunk."""
        return self.length // self.rate


class Unmixed(NamedTuple):
    """Codes and text of mixed steps."""

    codes: Int[Tensor, "b z"]
    text: Int[Tensor, "b c"]


def whole_chunks(steps: Int[Tensor, "b c"], chunking: Chunking) -> Int[Tensor, " b"]:
    """Counts the whole chunks of each row; the rest always stays text."""
    return lengths(steps) // chunking.length


def mixed(
    trace: Trace, codes: Int[Tensor, "b z"], chosen: Bool[Tensor, "b j"], *, chunking: Chunking, alphabet: Alphabet
) -> Trace:
    """Replaces each chosen chunk by its codes, with one pair of brackets around each run of them.

    `codes` are those of all steps, from 0 up to `alphabet.codes`. Steps of t ids with m of them replaced in one run
    have t - m + m / rate + 2 ids; with none replaced they are unchanged.
    Raises: ValueError if the rate does not divide the chunk, a chosen chunk is not whole, or one of its codes is absent
    or out of range.
    Source: Su et al. (2025), arXiv:2502.03275, section 3.
    """
    length, rate = chunking
    if rate < 1 or length % rate:
        raise ValueError(f"expected a rate that divides the chunks of {length} ids, got {rate}")
    each, whole = chunking.each, whole_chunks(trace.steps, chunking)
    chunks = -(-trace.steps.shape[1] // length)
    chosen = functional.pad(chosen, (0, max(chunks - chosen.shape[1], 0)))
    if (chosen & (torch.arange(chosen.shape[1], device=chosen.device) >= whole[:, None])).any():
        raise ValueError(f"expected chosen chunks among the {whole.tolist()} whole ones, got {chosen.long().tolist()}")
    chosen = chosen[:, :chunks, None]  # b j 1
    text = functional.pad(trace.steps, (0, chunks * length - trace.steps.shape[1]), value=-1)
    width = chunks * each - codes.shape[1]
    held = functional.pad(codes, (0, max(width, 0)), value=-1)[:, : chunks * each].reshape(len(codes), chunks, each)
    if (chosen & ((held < 0) | (held >= alphabet.codes))).any():
        raise ValueError(f"expected {each} codes below {alphabet.codes} for each chosen chunk, got {codes.tolist()}")
    opens = chosen & ~functional.pad(chosen, (0, 0, 1, 0))[:, :-1]
    closes = chosen & ~functional.pad(chosen, (0, 0, 0, 1))[:, 1:]
    bracket = torch.full_like(chosen, -1, dtype=text.dtype)
    parts = (
        bracket.masked_fill(opens, alphabet.begin),
        (alphabet.text + held).masked_fill(~chosen, -1),
        bracket.masked_fill(closes, alphabet.close),
        text.reshape(len(text), chunks, length).masked_fill(chosen, -1),
    )
    return trace._replace(steps=compact(torch.cat(parts, 2).flatten(1)))


def unmixed(steps: Int[Tensor, "b c"], alphabet: Alphabet) -> Unmixed:
    """Returns the codes of mixed steps, from 0 on, and their text, without brackets.

    A model may emit too few or too many brackets: codes count anywhere.
    """
    code = (steps >= alphabet.text) & (steps < alphabet.begin)
    return Unmixed(
        compact((steps - alphabet.text).masked_fill(~code, -1)),
        compact(steps.masked_fill(steps >= alphabet.text, -1)),
    )
