"""Answers: what a prior says after a prompt, left to itself or with its brackets closed for it.

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
from crt_latent.traces import closed_up, delimiters, lengths
from crtcore import Noise
from crtcore.kinds import Decoder, Prior, Request
from crtcore.settings import Limits, Sampling


class Answers(NamedTuple):
    """What was emitted after <think>."""

    ids: Int[Tensor, "b e"]
    ended: Bool[Tensor, " b"]
    """False: the limit came before <end>."""
    forced: Bool[Tensor, " b"]
    """True: <eoLatent> was put where it had not been said."""


class Solver(NamedTuple):
    """A prior that answers."""

    prior: Prior
    decoder: Decoder
    sampling: Sampling
    alphabet: Alphabet
    limit: int
    """Most ids of an answer, the same for every form."""
    most: int
    """Most codes of a trace."""
    seed: int

    def answers(self, prompts: Int[Tensor, "b n"]) -> Answers:
        """The prior is left to itself; a bracket of as many codes as a trace can have is closed for it."""
        begin, close, end = self.alphabet.begin, self.alphabet.close, delimiters(self.alphabet.text).end
        first = self._drawn(prompts, min(self.most + 2, self.limit), stop=(close, end))
        codes = ((first >= self.alphabet.text) & (first < begin)).sum(1)
        forced = (first == begin).any(1) & ~(first == close).any(1) & (codes >= self.most)
        first = closed_up(torch.cat([first, torch.where(forced, close, -1)[:, None]], 1))
        going = ~(first == end).any(1)
        left = self.limit - int(lengths(first[going]).min()) if going.any() else 0
        rest = first.new_full((len(first), left), -1)
        if left > 0:
            so_far = closed_up(torch.cat([prompts, first], 1)[going])
            drawn = self._drawn(so_far, left, stop=(end,))
            rest[going] = functional.pad(drawn, (0, left - drawn.shape[1]), value=-1)
        ids = closed_up(torch.cat([first, rest], 1))[:, : self.limit]
        return Answers(ids, (ids == end).any(1), forced)

    def bracketed(self, prompts: Int[Tensor, "b n"], codes: int) -> Answers:
        """The prior says so many codes in a bracket, then text alone; with 0 there is no bracket."""
        text, begin, close, size = self.alphabet.text, self.alphabet.begin, self.alphabet.close, self.alphabet.size
        latent, end = range(text, size), delimiters(text).end
        prefix = prompts[:, :0]
        if codes:
            opened = functional.pad(prompts, (0, 1), value=-1)
            opened[torch.arange(len(opened)), lengths(prompts)] = begin
            said = self._drawn(opened, codes, banned=[*range(text), begin, close])
            prefix = torch.cat([torch.full_like(said[:, :1], begin), said, torch.full_like(said[:, :1], close)], 1)
        so_far = closed_up(torch.cat([prompts, prefix], 1))
        rest = self._drawn(so_far, self.limit - prefix.shape[1], stop=(end,), banned=latent)
        ids = torch.cat([prefix, rest], 1)
        return Answers(ids, (ids == end).any(1), torch.full_like(lengths(ids), codes > 0, dtype=torch.bool))

    def _drawn(
        self, prompts: Int[Tensor, "b n"], length: int, *, stop: Sequence[int] = (), banned: Sequence[int] = ()
    ) -> Int[Tensor, "b e"]:
        sampling = attrs.evolve(self.sampling, banned=(*self.sampling.banned, *banned))
        seeds = Noise(self.seed, "answers").seeds(torch.arange(len(prompts), device=prompts.device))
        limits = Limits(length=length, stop=tuple(stop))
        return self.decoder.generate(self.prior, Request(prompts, limits, sampling, seeds=seeds)).ids
