"""The distributions of a pair behind the prompts of samples, which are read once for all continuations.

Axes: b batch, n ids of a continuation, t distributions, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from crt_run.sampling import probabilities
from crt_verify.decoding.samples import Samples
from crt_verify.decoding.trial import Pair
from crtcore import Sampling
from crtcore.kinds import Session


class Behind:
    """Sessions of target and draft after the prompts."""

    def __init__(self, pair: Pair, samples: Samples, longest: int) -> None:
        """`longest` is the most ids of a continuation."""
        self._like = samples.ids
        capacity = samples.prompts.shape[1] + longest
        self._sessions: list[Session] = [
            prior.open(samples.prompts, samples.class_ids, capacity=capacity, room=longest)
            for prior in (pair.target, pair.draft)
        ]

    def after(self, emitted: list[list[int]], target: Sampling, draft: Sampling) -> Rows:
        """The distributions after 0, 1, ... ids of each continuation, of each prior under its own settings."""
        widest = max(map(len, emitted))
        ids = self._like.new_tensor([[*row, *[-1] * (widest - len(row))] for row in emitted])  # b n
        return Rows(*(map(self._read, self._sessions, (ids, ids), (target, draft))))

    def _read(self, session: Session, ids: Tensor, sampling: Sampling) -> Tensor:
        logits = torch.cat((session.next_logits[:, None], session.extend(ids)), 1)
        session.commit(torch.full_like(ids[:, :1], -1))  # nothing: the next continuation begins behind the prompts
        return probabilities(logits, sampling)


class Rows(NamedTuple):
    """Distributions of target and draft."""

    p: Float[Tensor, "b t v"]
    q: Float[Tensor, "b t v"]
