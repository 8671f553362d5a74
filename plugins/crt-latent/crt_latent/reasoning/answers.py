"""Answers of a prior to prompts, free or with a forced number of codes.

Axes: b batch, n ids of a prompt, e emitted ids. Id -1 means absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import attrs
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn import functional

from crt_latent.mixing.alphabet import Alphabet
from crt_latent.traces import compact, delimiters, lengths
from crtcore import Noise
from crtcore.kinds import Decoder, Prior, Request
from crtcore.settings import Limits, Sampling


class Answers(NamedTuple):
    """Ids that were emitted after <think>."""

    ids: Int[Tensor, "b e"]
    ended: Bool[Tensor, " b"]
    """False: there was no <end> within the limit."""
    forced: Bool[Tensor, " b"]
    """True: <eoLatent> was inserted, as the prior had not emitted it."""


class Solver(NamedTuple):
    """A prior and the settings of its answers."""

    prior: Prior
    decoder: Decoder
    sampling: Sampling
    alphabet: Alphabet
    max_ids: int
    """Most ids of an answer, equal for all forms."""
    max_codes: int
    """Most codes of a trace."""
    seed: int

    def answers(self, prompts: Int[Tensor, "b n"]) -> Answers:
        """Generates freely, but closes the bracket after `max_codes` codes."""
        begin, close, end = self.alphabet.begin, self.alphabet.close, delimiters(self.alphabet.text).end
        first = self._generate(prompts, min(self.max_codes + 2, self.max_ids), stop=(close, end))
        codes = ((first >= self.alphabet.text) & (first < begin)).sum(1)
        forced = (first == begin).any(1) & ~(first == close).any(1) & (codes >= self.max_codes)
        first = compact(torch.cat([first, torch.where(forced, close, -1)[:, None]], 1))
        unfinished = ~(first == end).any(1)
        left = self.max_ids - int(lengths(first[unfinished]).min()) if unfinished.any() else 0
        rest = first.new_full((len(first), left), -1)
        if left > 0:
            context = compact(torch.cat([prompts, first], 1)[unfinished])
            drawn = self._generate(context, left, stop=(end,))
            rest[unfinished] = functional.pad(drawn, (0, left - drawn.shape[1]), value=-1)
        ids = compact(torch.cat([first, rest], 1))[:, : self.max_ids]
        return Answers(ids, (ids == end).any(1), forced)

    def answer_with_codes(self, prompts: Int[Tensor, "b n"], codes: int) -> Answers:
        """Generates `codes` codes in brackets, then text alone; no brackets for 0."""
        text, begin, close, size = self.alphabet.text, self.alphabet.begin, self.alphabet.close, self.alphabet.size
        latent, end = range(text, size), delimiters(text).end
        prefix = prompts[:, :0]
        if codes:
            opened = functional.pad(prompts, (0, 1), value=-1)
            opened[torch.arange(len(opened)), lengths(prompts)] = begin
            drawn = self._generate(opened, codes, banned=[*range(text), begin, close])
            prefix = torch.cat([torch.full_like(drawn[:, :1], begin), drawn, torch.full_like(drawn[:, :1], close)], 1)
        context = compact(torch.cat([prompts, prefix], 1))
        rest = self._generate(context, self.max_ids - prefix.shape[1], stop=(end,), banned=latent)
        ids = torch.cat([prefix, rest], 1)
        return Answers(ids, (ids == end).any(1), torch.full_like(lengths(ids), codes > 0, dtype=torch.bool))

    def _generate(
        self, prompts: Int[Tensor, "b n"], length: int, *, stop: Sequence[int] = (), banned: Sequence[int] = ()
    ) -> Int[Tensor, "b e"]:
        sampling = attrs.evolve(self.sampling, banned=(*self.sampling.banned, *banned))
        seeds = Noise(self.seed, "answers").seeds(torch.arange(len(prompts), device=prompts.device))
        limits = Limits(length=length, stop=tuple(stop))
        return self.decoder.generate(self.prior, Request(prompts, limits, sampling, seeds=seeds)).ids
