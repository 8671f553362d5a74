"""Priors that break one law each: a sound one inside, and one thing changed on the way in or out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from crtcore.kinds.prior import Prior, Session

Ask: TypeAlias = Callable[[Tensor, Tensor | None, int], tuple[Tensor, Tensor | None]]
"""Ids, parents and the first new column, to what the sound session is asked."""
Keep: TypeAlias = Callable[[Tensor, int], Tensor]
"""A path and how often there has been a commit, to what the sound session keeps."""
Tell: TypeAlias = Callable[[Tensor, Tensor, int], Tensor]
"""The first tip, the present one and how often there has been a commit, to the tip that is told."""


class SpoiledSession:
    """A session that changes what it is asked, what it keeps, or what it tells."""

    def __init__(
        self,
        session: Session,
        *,
        ask: Ask = lambda ids, parents, _: (ids, parents),
        keep: Keep = lambda path, _: path,
        tell: Tell = lambda _, tip, __: tip,
    ) -> None:
        self._session, self._ask, self._keep, self._tell = session, ask, keep, tell
        self._first, self._commits = session.tip, 0
        self._logits = session.tip[:, None]
        self.tip = tell(session.tip, session.tip, 0)

    def extend(self, ids: Tensor, parents: Tensor | None = None) -> Tensor:
        """The sound session's answer to what it is asked instead."""
        logits = self._session.extend(*self._ask(ids, parents, self._logits.shape[1] - 1))
        self._logits = torch.cat((self._logits, logits), 1)
        return logits

    def commit(self, path: Tensor) -> None:
        """Keeps something else; the tip is still that of `path`."""
        self._commits += 1
        self._session.commit(self._keep(path, self._commits))
        last = functional.pad(path, (1, 0), value=-1).gather(1, (path >= 0).sum(-1)[:, None]) + 1  # b 1
        tip = self._logits[torch.arange(len(path)), last[:, 0]]
        self._logits = tip[:, None]
        self.tip = self._tell(self._first, tip, self._commits)


class SpoiledPrior:
    """A prior that changes its logits, or hands out spoiled sessions."""

    def __init__(
        self,
        prior: Prior,
        *,
        call: Callable[[Tensor, Tensor, Tensor | None], Tensor] = lambda logits, _, __: logits,
        session: Callable[[Session], Session] = lambda session: session,
    ) -> None:
        self.vocabulary = prior.vocabulary
        self._prior, self._call, self._session = prior, call, session

    def __call__(self, ids: Tensor, condition: Tensor | None = None) -> Tensor:
        """The sound logits, changed."""
        return self._call(self._prior(ids, condition), ids, condition)

    def open(self, ids: Tensor, condition: Tensor | None = None, *, capacity: int, room: int) -> Session:
        """The sound session, spoiled."""
        return self._session(self._prior.open(ids, condition, capacity=capacity, room=room))


class _Mute:
    """A session all of whose logits are -inf."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.tip = torch.full_like(session.tip, float("-inf"))

    def extend(self, ids: Tensor, parents: Tensor | None = None) -> Tensor:
        return torch.full_like(self._session.extend(ids, parents), float("-inf"))

    def commit(self, path: Tensor) -> None:
        self._session.commit(path)


def mute(prior: Prior) -> Prior:
    """Every logit is -inf, so that there is no law."""
    return SpoiledPrior(prior, call=lambda logits, _, __: torch.full_like(logits, float("-inf")), session=_Mute)


def clairvoyant(prior: Prior) -> Prior:
    """Each row has a look at the id it should foretell."""

    def call(logits: Tensor, ids: Tensor, _: Tensor | None) -> Tensor:
        return logits + functional.pad(ids.clamp(min=0), (0, 1))[..., None]

    return SpoiledPrior(prior, call=call)


def sociable(prior: Prior) -> Prior:
    """Logits are shifted by the number of neighbours."""
    return SpoiledPrior(prior, call=lambda logits, ids, _: logits + len(ids) - 1)


def padded(prior: Prior) -> Prior:
    """Logits are shifted by the number of absent ids."""
    return SpoiledPrior(prior, call=lambda logits, ids, _: logits + (ids < 0).sum(1)[:, None, None])


def particular(prior: Prior) -> Prior:
    """No condition is another thing than a condition of -1."""
    return SpoiledPrior(prior, call=lambda logits, _, condition: logits + (condition is None))


def late(prior: Prior) -> Prior:
    """The tip is wrong until something is committed."""

    def tell(_: Tensor, tip: Tensor, commits: int) -> Tensor:
        return tip if commits else tip + 1

    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, tell=tell))


def starry(prior: Prior) -> Prior:
    """A chain is taken for a star: each of its ids follows the last column of the call before."""

    def ask(ids: Tensor, parents: Tensor | None, first: int) -> tuple[Tensor, Tensor | None]:
        return ids, torch.full_like(ids, first - 1) if parents is None else parents

    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, ask=ask))


def straight(prior: Prior) -> Prior:
    """A tree is taken for a chain that hangs where its first node does."""

    def ask(ids: Tensor, parents: Tensor | None, first: int) -> tuple[Tensor, Tensor | None]:
        if parents is None:
            return ids, None
        chain = torch.arange(first - 1, first + ids.shape[1] - 1).repeat(len(ids), 1)
        return ids, torch.cat((parents[:, :1], chain[:, 1:]), 1)

    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, ask=ask))


def restarting(prior: Prior) -> Prior:
    """Columns are numbered from 0 in each call."""

    def ask(ids: Tensor, parents: Tensor | None, first: int) -> tuple[Tensor, Tensor | None]:
        if parents is None:
            return ids, None
        moved = (parents + first).clamp(max=first + ids.shape[1] - 1)
        return ids, moved.minimum(torch.arange(first - 1, first + ids.shape[1] - 1)).where(parents >= 0, -1)

    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, ask=ask))


def filled(prior: Prior) -> Prior:
    """An absent id is taken for id 0."""
    return SpoiledPrior(
        prior, session=lambda session: SpoiledSession(session, ask=lambda ids, parents, _: (ids.clamp(min=0), parents))
    )


def curious(prior: Prior) -> Prior:
    """Has a look at the ids before it asks."""

    def ask(ids: Tensor, parents: Tensor | None, _: int) -> tuple[Tensor, Tensor | None]:
        return ids.clamp(max=int(ids.max())), parents

    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, ask=ask))


def stuck(prior: Prior) -> Prior:
    """The tip stays what it was at first."""
    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, tell=lambda first, _, __: first))


def _shortened(path: Tensor) -> Tensor:
    return path.where(torch.arange(path.shape[1]) < (path >= 0).sum(-1, keepdim=True) - 1, -1)


def forgetful(prior: Prior) -> Prior:
    """The last id of a path is forgotten, though the tip is right."""
    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, keep=lambda path, _: _shortened(path)))


def tiring(prior: Prior) -> Prior:
    """From the second commit on, the last id of a path is forgotten."""

    def keep(path: Tensor, commits: int) -> Tensor:
        return path if commits < 2 else _shortened(path)

    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, keep=keep))


def careless(prior: Prior) -> Prior:
    """A row that outgrew its capacity is answered all the same."""

    def tell(_: Tensor, logits: Tensor, __: int) -> Tensor:
        return logits.nan_to_num()

    return SpoiledPrior(prior, session=lambda session: SpoiledSession(session, tell=tell))
