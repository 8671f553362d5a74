"""Priors that break one law each: a sound prior with one change on the way in or out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from crtcore.kinds.prior import Prior, Session
from crtcore.noise import Noise

Extension: TypeAlias = Callable[[Tensor, Tensor | None, int], tuple[Tensor, Tensor | None]]
"""Ids, parents and the first new column, to the ids and parents that the sound session gets."""
Commitment: TypeAlias = Callable[[Tensor, int], Tensor]
"""A path and the number of commits, to the path that the sound session commits."""
Logits: TypeAlias = Callable[[Tensor, Tensor, int], Tensor]
"""The first next logits, the present ones and the number of commits, to the next logits that are returned."""


class SpoiledSession:
    """A sound session with changed extensions, commits or next logits."""

    def __init__(
        self,
        session: Session,
        *,
        extend: Extension = lambda ids, parents, _: (ids, parents),
        commit: Commitment = lambda path, _: path,
        answer: Logits = lambda _, next_logits, __: next_logits,
    ) -> None:
        self._session, self._extend, self._commit, self._answer = session, extend, commit, answer
        self._first, self._commits = session.next_logits, 0
        self._logits = session.next_logits[:, None]
        self.next_logits = answer(session.next_logits, session.next_logits, 0)

    def extend(self, ids: Tensor, parents: Tensor | None = None) -> Tensor:
        """The logits of the sound session for the changed extension."""
        logits = self._session.extend(*self._extend(ids, parents, self._logits.shape[1] - 1))
        self._logits = torch.cat((self._logits, logits), 1)
        return logits

    def commit(self, path: Tensor) -> None:
        """Commits the changed path; the next logits are still those of `path`."""
        self._commits += 1
        self._session.commit(self._commit(path, self._commits))
        last = functional.pad(path, (1, 0), value=-1).gather(1, (path >= 0).sum(-1)[:, None]) + 1  # b 1
        next_logits = self._logits[torch.arange(len(path)), last[:, 0]]
        self._logits = next_logits[:, None]
        self.next_logits = self._answer(self._first, next_logits, self._commits)


class SpoiledPrior:
    """A sound prior with changed logits or sessions."""

    def __init__(
        self,
        prior: Prior,
        *,
        call: Callable[[Tensor, Tensor, Tensor | None], Tensor] = lambda logits, _, __: logits,
        session: Callable[[Session], Session] = lambda session: session,
    ) -> None:
        self.vocabulary = prior.vocabulary
        self._prior, self._call, self._session = prior, call, session

    def __call__(self, ids: Tensor, class_ids: Tensor | None = None, *, noise: Noise | None = None) -> Tensor:
        """The sound logits, with the change."""
        return self._call(self._prior(ids, class_ids, noise=noise), ids, class_ids)

    def open(self, ids: Tensor, class_ids: Tensor | None = None, *, capacity: int, room: int) -> Session:
        """The sound session, with the change."""
        return self._session(self._prior.open(ids, class_ids, capacity=capacity, room=room))


class _Mute:
    """A session all of whose logits are -inf."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.next_logits = torch.full_like(session.next_logits, float("-inf"))

    def extend(self, ids: Tensor, parents: Tensor | None = None) -> Tensor:
        return torch.full_like(self._session.extend(ids, parents), float("-inf"))

    def commit(self, path: Tensor) -> None:
        self._session.commit(path)


def mute(prior: Prior) -> Prior:
    """Every logit is -inf, so that there is no distribution."""
    return SpoiledPrior(prior, call=lambda logits, _, __: torch.full_like(logits, float("-inf")), session=_Mute)


def clairvoyant(prior: Prior) -> Prior:
    """Each row depends on the id that it should predict."""

    def call(logits: Tensor, ids: Tensor, _: Tensor | None) -> Tensor:
        return logits + functional.pad(ids.clamp(min=0), (0, 1))[..., None]

    return SpoiledPrior(prior, call=call)


def sociable(prior: Prior) -> Prior:
    """Logits are shifted by the number of neighbours."""
    return SpoiledPrior(prior, call=lambda logits, ids, _: logits + len(ids) - 1)


def placed(prior: Prior) -> Prior:
    """Where there is noise, logits are shifted by the place in the batch."""
    return _Placed(prior)


class _Placed(SpoiledPrior):
    def __call__(self, ids: Tensor, class_ids: Tensor | None = None, *, noise: Noise | None = None) -> Tensor:
        logits = super().__call__(ids, class_ids, noise=noise)
        return logits if noise is None else logits + torch.arange(len(ids))[:, None, None]


class Restless(nn.Module):
    """Logits are shifted by a random number in training where there is no noise."""

    def __init__(self, prior: Prior) -> None:
        super().__init__()
        self.vocabulary = prior.vocabulary
        self.prior = prior
        self.eval()

    def forward(self, ids: Tensor, class_ids: Tensor | None = None, *, noise: Noise | None = None) -> Tensor:
        """The sound logits, with the change."""
        logits = self.prior(ids, class_ids, noise=noise)
        return logits + torch.rand((), dtype=logits.dtype) if self.training and noise is None else logits

    def open(self, ids: Tensor, class_ids: Tensor | None = None, *, capacity: int, room: int) -> Session:
        """The sound session."""
        return self.prior.open(ids, class_ids, capacity=capacity, room=room)


class Counting(Restless):
    """Counts its passes in training."""

    steps: Tensor

    def __init__(self, prior: Prior) -> None:
        super().__init__(prior)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, ids: Tensor, class_ids: Tensor | None = None, *, noise: Noise | None = None) -> Tensor:
        """The sound logits."""
        self.steps += self.training
        return self.prior(ids, class_ids, noise=noise)


def padded(prior: Prior) -> Prior:
    """Logits are shifted by the number of absent ids."""
    return SpoiledPrior(prior, call=lambda logits, ids, _: logits + (ids < 0).sum(1)[:, None, None])


def particular(prior: Prior) -> Prior:
    """No class ids differ from class ids of -1."""
    return SpoiledPrior(prior, call=lambda logits, _, class_ids: logits + (class_ids is None))


def late(prior: Prior) -> Prior:
    """The next logits are wrong until the first commit."""

    def answer(_: Tensor, next_logits: Tensor, commits: int) -> Tensor:
        return next_logits if commits else next_logits + 1

    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, answer=answer))


def starry(prior: Prior) -> Prior:
    """A chain is read as a star: each of its ids follows the last column of the call before."""

    def extension(ids: Tensor, parents: Tensor | None, first: int) -> tuple[Tensor, Tensor | None]:
        return ids, torch.full_like(ids, first - 1) if parents is None else parents

    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, extend=extension))


def straight(prior: Prior) -> Prior:
    """A tree is read as a chain below the parent of its first node."""

    def extension(ids: Tensor, parents: Tensor | None, first: int) -> tuple[Tensor, Tensor | None]:
        if parents is None:
            return ids, None
        chain = torch.arange(first - 1, first + ids.shape[1] - 1).repeat(len(ids), 1)
        return ids, torch.cat((parents[:, :1], chain[:, 1:]), 1)

    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, extend=extension))


def restarting(prior: Prior) -> Prior:
    """Columns are numbered from 0 in each call."""

    def extension(ids: Tensor, parents: Tensor | None, first: int) -> tuple[Tensor, Tensor | None]:
        if parents is None:
            return ids, None
        moved = (parents + first).clamp(max=first + ids.shape[1] - 1)
        return ids, moved.minimum(torch.arange(first - 1, first + ids.shape[1] - 1)).where(parents >= 0, -1)

    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, extend=extension))


def filled(prior: Prior) -> Prior:
    """An absent id is read as id 0."""
    return SpoiledPrior(
        prior,
        session=lambda session: SpoiledSession(session, extend=lambda ids, parents, _: (ids.clamp(min=0), parents)),
    )


def curious(prior: Prior) -> Prior:
    """Reads the ids on the host."""

    def extension(ids: Tensor, parents: Tensor | None, _: int) -> tuple[Tensor, Tensor | None]:
        return ids.clamp(max=int(ids.max())), parents

    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, extend=extension))


def stuck(prior: Prior) -> Prior:
    """The next logits are always the first ones."""
    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, answer=lambda first, _, __: first))


def _shortened(path: Tensor) -> Tensor:
    return path.where(torch.arange(path.shape[1]) < (path >= 0).sum(-1, keepdim=True) - 1, -1)


def forgetful(prior: Prior) -> Prior:
    """The last id of a path is lost, while the next logits are correct."""
    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, commit=lambda path, _: _shortened(path)))


def tiring(prior: Prior) -> Prior:
    """From the second commit on, the last id of a path is lost."""

    def commitment(path: Tensor, commits: int) -> Tensor:
        return path if commits < 2 else _shortened(path)

    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, commit=commitment))


def careless(prior: Prior) -> Prior:
    """A row beyond its capacity has finite logits."""

    def answer(_: Tensor, logits: Tensor, __: int) -> Tensor:
        return logits.nan_to_num()

    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, answer=answer))
