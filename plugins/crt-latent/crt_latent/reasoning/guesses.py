"""Greedy ids by guesses: a pass of the prior over a whole guess in place of a step for each id.

Axes: b batch, n ids of a prompt, e emitted ids, v vocabulary. Id -1 means absent, only at the right end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from crt_latent.traces import compact, lengths
from crtcore.kinds import Prior

MARGIN = 2**13
"""Roundings by which an id must lead all others, as passes and steps do not round alike: 0.001 in float32."""
ROWS = 250
"""Rows of a pass."""


class Read(NamedTuple):
    """What a prior would emit at each place of a guess, given the guess before it."""

    ids: Int[Tensor, "b e"]
    sure: Bool[Tensor, "b e"]
    """Whether the id leads by so much that steps give the same."""


class Begun(NamedTuple):
    """What guesses have settled of the ids that a greedy decoder emits."""

    ids: Int[Tensor, "b e"]
    ended: Bool[Tensor, " b"]
    """False: a decoder has to go on after these ids."""


def by_guesses(
    prior: Prior,
    prompts: Int[Tensor, "b n"],
    guesses: Sequence[Int[Tensor, "b _"]],
    *,
    length: int,
    stop: Sequence[int],
    banned: Sequence[int] = (),
) -> Begun:
    """Emits ids for as long as guesses hold, at most `length`, and up to an id of `stop`.

    A guess holds up to the first id that the prior would not emit; that id is replaced. The next guess of a row is the
    first of `guesses` that begins with what it has, else what the prior would have emitted at the other places. Of
    these, one that settles less than half of the row is the row's last, as steps then take less time.
    """
    ids = prompts.new_full((len(prompts), length), -1)
    known = [_fitted(each, length) for each in guesses]
    going, guess = torch.arange(len(prompts), device=prompts.device), known[0] if known else ids
    places = torch.arange(length, device=ids.device)
    ended = torch.full_like(going, length == 0, dtype=torch.bool)
    while len(going) and known and length:
        before = lengths(ids[going])
        read = _read(prior, prompts[going], guess, banned)
        right = (read.ids == guess) & read.sure
        held = right.long().cumprod(1).sum(1)
        more = (held < length) & read.sure.gather(1, held.clamp(max=length - 1)[:, None])[:, 0]
        own = torch.where(places < held[:, None], guess, read.ids).masked_fill(places >= (held + more)[:, None], -1)
        stopped = torch.isin(own, own.new_tensor(list(stop)))
        ids[going] = own = own.masked_fill(stopped.cumsum(1) - stopped.long() > 0, -1)
        ended[going] = stopped.any(1) | (lengths(own) == length)
        there, left = lengths(own), lengths(guess) - before
        tail = torch.where(places < there[:, None], own, read.ids)
        guess, listed = _first_fitting([each[going] for each in known], own, tail)
        keep = ~ended[going] & more & (listed | (2 * (there - before) >= left))
        going, guess = going[keep], guess[keep]
    return Begun(ids, ended)


def _fitted(ids: Int[Tensor, "b e"], length: int) -> Int[Tensor, "b length"]:
    return torch.nn.functional.pad(ids, (0, max(length - ids.shape[1], 0)), value=-1)[:, :length]


def _first_fitting(
    known: Sequence[Int[Tensor, "b e"]], own: Int[Tensor, "b e"], otherwise: Int[Tensor, "b e"]
) -> tuple[Int[Tensor, "b e"], Bool[Tensor, " b"]]:
    """Returns the first guess that begins with a row's own ids and goes on, and whether there is one."""
    guess, fits = otherwise, torch.zeros_like(own[:, 0], dtype=torch.bool)
    for each in reversed(known):
        this = ((each == own) | (own < 0)).all(1) & (lengths(each) > lengths(own))
        guess, fits = torch.where(this[:, None], each, guess), fits | this
    return guess, fits


def _read(prior: Prior, prompts: Int[Tensor, "b n"], guess: Int[Tensor, "b e"], banned: Sequence[int]) -> Read:
    """Reads prompts and guesses in one pass."""
    parts = zip(torch.split(prompts, ROWS), torch.split(guess, ROWS), strict=True)
    read = [_read_few(prior, *each, banned) for each in parts]
    return Read(*(torch.cat(each) for each in zip(*read, strict=True)))


def _read_few(prior: Prior, prompts: Int[Tensor, "b n"], guess: Int[Tensor, "b e"], banned: Sequence[int]) -> Read:
    places = torch.arange(guess.shape[1], device=guess.device)  # e
    logits = prior(compact(torch.cat([prompts, guess], 1)))
    rows = (lengths(prompts)[:, None] + places).clamp(max=logits.shape[1] - 1)  # b e
    logits = logits.gather(1, rows[..., None].expand(-1, -1, logits.shape[-1]))  # b e v
    if banned:
        logits.index_fill_(-1, torch.tensor(banned, device=logits.device), -torch.inf)
    first = logits.max(-1)
    second = logits.scatter(-1, first.indices[..., None], -torch.inf).amax(-1)
    behind = places > lengths(guess)[:, None]
    sure = first.values - second > MARGIN * torch.finfo(logits.dtype).eps
    return Read(first.indices.masked_fill(behind, -1), sure & ~behind)
