"""Classifier-free guidance of a prior.

Axes: b batch, n ids of a sample, t new nodes, m tentative nodes, k committed positions, v vocabulary. Id -1 means
absent.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_basics.priors.specs import Guidance
from crt_nn.slots import Ancestry
from crtcore.errors import RunError
from crtcore.kinds import Prior, Session
from crtcore.noise import Noise


class Guided(nn.Module):
    """Another prior with the logits `u + scale * (c - u)`, of the unconditional `u` and the conditional `c`.

    An id that either excludes, and a position outside the interval, has `c`. Scale 1 is the prior itself.
    Source: Ho and Salimans (2022), arXiv:2207.12598, eq. 6, where w is scale - 1.
    """

    def __init__(self, prior: Prior, *, scale: float | int, interval: tuple[int, int] = (0, 0)) -> None:
        """`interval` is the first guided position and the one after the last, where 0 means no end."""
        super().__init__()
        self.prior = prior
        self.vocabulary = prior.vocabulary
        self.longest = getattr(prior, "longest", None)
        self.scale = scale
        self.interval = interval

    def forward(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 v"]:
        """Guided logits after the prefix and after each id."""
        if class_ids is None or self.scale == 1:
            return self.prior(ids, class_ids, noise=noise)
        both = None if noise is None else Noise(noise.seed.repeat(2), noise.stream)
        logits = self.prior(twice(ids), unconditioned(class_ids, len(ids)), noise=both)  # 2b n+1 v
        return self.mixed(logits, torch.arange(logits.shape[1], device=ids.device).expand(len(ids), -1))

    def open(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> Session:
        """A session that has committed `ids`."""
        if class_ids is None or self.scale == 1:
            return self.prior.open(ids, class_ids, capacity=capacity, room=room)
        session = self.prior.open(twice(ids), unconditioned(class_ids, len(ids)), capacity=capacity, room=room)
        return GuidedSession(self, session, ids)

    def mixed(self, logits: Float[Tensor, "pairs t v"], positions: Int[Tensor, "b t"]) -> Float[Tensor, "b t v"]:
        """Guided logits from conditional and unconditional ones, in float32 at least.

        `positions` are those of the predicted ids.
        """
        logits = logits if logits.dtype.itemsize >= torch.float32.itemsize else logits.float()
        conditional, unconditional = logits.chunk(2)
        moved = torch.sub(conditional, unconditional).mul_(self.scale).add_(unconditional)
        guided = moved.abs() < torch.inf  # takes a fifth of the time of `isfinite`
        start, stop = self.interval
        if start or stop:
            inside = (positions >= start) & (positions < stop) if stop else positions >= start
            guided = guided & inside[..., None]
        return torch.where(guided, moved, conditional)


class GuidedSession:
    """A session of b rows on one of 2b rows, the second half of which has no class."""

    next_logits: Float[Tensor, "b v"]

    def __init__(self, guided: Guided, session: Session, ids: Int[Tensor, "b n"]) -> None:
        self._guided = guided
        self._session = session
        self._position = (ids >= 0).sum(-1, keepdim=True)  # b 1; of the next id
        self._start()

    def _start(self) -> None:
        self._ancestry = Ancestry(self._position)
        self.next_logits = self._guided.mixed(self._session.next_logits[:, None], self._position)[:, 0]

    def extend(self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t v"]:
        """Adds tentative nodes and returns the guided logits after each."""
        first = self._ancestry.present.shape[1]
        logits = self._session.extend(twice(ids), None if parents is None else twice(parents))  # 2b t v
        if parents is None:
            parents = torch.arange(first - 1, first + ids.shape[1] - 1, device=ids.device).expand_as(ids)
        depth = self._ancestry.extend(parents, ids >= 0).sum(-1)  # b t
        return self._guided.mixed(logits, self._position + depth)

    def commit(self, path: Int[Tensor, "b k"]) -> None:
        """Keeps the columns of `path` and drops every other tentative node."""
        self._session.commit(twice(path))
        kept = functional.pad(self._ancestry.present, (1, 0)).gather(1, path + 1)
        self._position = self._position + kept.sum(-1, keepdim=True)
        self._start()


def twice(rows: Int[Tensor, "b *n"]) -> Int[Tensor, "2*b *n"]:
    """All rows, twice."""
    return torch.cat((rows, rows))


def unconditioned(class_ids: Int[Tensor, " b"], rows: int) -> Int[Tensor, " 2*b"]:
    """The class ids, then as many -1.

    Raises: ValueError if there is not one for each of the rows.
    """
    if class_ids.shape != (rows,):
        raise ValueError(f"expected a class id for each of {rows} rows, got the shape {tuple(class_ids.shape)}")
    return torch.cat((class_ids, torch.full_like(class_ids, -1)))


def guided(spec: Guidance, vocabulary: int, length: int, classes: int | None) -> Guided:
    """Builds the inner prior of a spec, and guides it.

    Raises: RunError if there are no classes.
    """
    check(classes)
    return around(spec, spec.prior.build(vocabulary, length, classes), classes)


def around(spec: Guidance, prior: Prior, classes: int | None) -> Guided:
    """Guides a prior as a spec describes.

    Raises: RunError if there are no classes.
    """
    check(classes)
    return Guided(prior, scale=spec.scale, interval=spec.interval)


def check(classes: int | None) -> None:
    """Nothing, if there are classes.

    Raises: RunError if there are none.
    """
    if classes is None:
        raise RunError("guided: expected data with classes, got data without; use the inner prior itself")
