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
    """Codes of the whole chunks of the longest trace."""
    seed: int

    def answers(self, prompts: Int[Tensor, "b n"]) -> Answers:
        """Generates freely, but closes the bracket after `max_codes` codes."""
        begin, close, end = self.alphabet.begin, self.alphabet.close, delimiters(self.alphabet.text).end
        ids = self._generate(prompts, self.max_ids, stop=(end,))
        first = ids[:, : self.max_codes + 2]
        codes = ((first >= self.alphabet.text) & (first < begin)).cumsum(1)
        full = codes[:, -1] >= self.max_codes
        forced = (first == begin).any(1) & ~((first == close) | (first == end)).any(1) & full
        if forced.any():
            behind = functional.pad(codes[forced][:, :-1] >= self.max_codes, (1, 0))  # after the last code of a trace
            opened = compact(functional.pad(first[forced].masked_fill(behind, -1), (0, 1), value=close))
            opened = opened[:, : self.max_ids]
            context = torch.cat([prompts[forced], opened], 1)
            rest = self._generate(compact(context), self.max_ids - opened.shape[1], stop=(end,))
            answers = compact(torch.cat([opened, rest], 1))
            ids[forced] = functional.pad(answers, (0, self.max_ids - answers.shape[1]), value=-1)
        return Answers(ids, (ids == end).any(1), forced)

    def most_likely_codes(self, prompts: Int[Tensor, "b n"], codes: int) -> Int[Tensor, "b z"]:
        """Generates `codes` codes behind an opened bracket, as no other ids are allowed."""
        text, begin, close = self.alphabet.text, self.alphabet.begin, self.alphabet.close
        opened = functional.pad(prompts, (0, 1), value=-1)
        opened[torch.arange(len(opened)), lengths(prompts)] = begin
        return self._generate(opened, codes, banned=[*range(text), begin, close])

    def answer_with_codes(self, prompts: Int[Tensor, "b n"], codes: Int[Tensor, "b z"]) -> Answers:
        """Emits these codes in brackets, then generates text alone; no brackets for 0 codes."""
        text, begin, close, size = self.alphabet.text, self.alphabet.begin, self.alphabet.close, self.alphabet.size
        latent, end = range(text, size), delimiters(text).end
        prefix = codes
        if codes.shape[1]:
            mark = codes[:, :1]
            prefix = torch.cat([torch.full_like(mark, begin), codes, torch.full_like(mark, close)], 1)
        context = compact(torch.cat([prompts, prefix], 1))
        left = self.max_ids - prefix.shape[1]
        rest = self._generate(context, left, stop=(end,), banned=latent)
        ids = torch.cat([prefix, rest], 1)
        return Answers(ids, (ids == end).any(1), torch.full_like(lengths(ids), codes.shape[1] > 0, dtype=torch.bool))

    def _generate(
        self, prompts: Int[Tensor, "b n"], length: int, *, stop: Sequence[int] = (), banned: Sequence[int] = ()
    ) -> Int[Tensor, "b e"]:
        sampling = attrs.evolve(self.sampling, banned=(*self.sampling.banned, *banned))
        seeds = Noise(self.seed, "answers").seeds(torch.arange(len(prompts), device=prompts.device))
        limits = Limits(length=length, stop=tuple(stop))
        drawn = self.decoder.generate(self.prior, Request(prompts, limits, sampling, seeds=seeds)).ids
        return functional.pad(drawn, (0, length - drawn.shape[1]), value=-1)
