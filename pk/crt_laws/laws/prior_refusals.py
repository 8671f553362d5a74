"""The laws of what priors refuse, and priors that take it instead."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies
from torch import Tensor

from crt_laws.checks import refused
from crt_laws.kit import Checks, Offender, law, laws_in
from crt_laws.laws.prior_offenders import SpoiledPrior, SpoiledSession
from crt_laws.laws.prior_scripts import CLASSES, LENGTH, VOCABULARY, Draw
from crtcore.kinds.prior import Prior, Session
from crtcore.noise import Noise

SEEDS = strategies.integers(0, 2**31 - 1)
BATCHES = strategies.integers(1, 3)


@law(
    "prior",
    seed=SEEDS,
    batch=BATCHES,
    length=strategies.integers(1, LENGTH),
    wrong=strategies.sampled_from((-2, VOCABULARY, 2**40)),
)
def ids_outside_the_vocabulary_are_refused(prior: Prior, seed: int, batch: int, length: int, wrong: int) -> Checks:
    """An id under -1, or not under the vocabulary, raises an error in a pass, a new session and an extension."""
    draw = Draw(seed, batch)
    ids = draw.ids(length)
    ids[draw.below(batch), draw.below(length)] = wrong

    yield refused(lambda: prior(ids), f"a pass with the id {wrong}")
    yield refused(lambda: prior.open(ids, capacity=LENGTH, room=1), f"a session with the id {wrong}")
    session = prior.open(ids[:, :0], capacity=LENGTH, room=length)
    yield refused(lambda: session.extend(ids), f"an extension with the id {wrong}")


@law("prior", seed=SEEDS, batch=BATCHES, wrong=strategies.sampled_from((-2, CLASSES, CLASSES + 1, 2**40)))
def class_ids_outside_the_classes_are_refused(prior: Prior, seed: int, batch: int, wrong: int) -> Checks:
    """A class id under -1, or not under the number of classes, raises an error in a pass and in a new session."""
    draw = Draw(seed, batch)
    ids, class_ids = draw.ids(2), draw.class_ids()
    class_ids[draw.below(batch)] = wrong

    yield refused(lambda: prior(ids, class_ids), f"a pass with the class id {wrong}")
    yield refused(lambda: prior.open(ids, class_ids, capacity=2, room=1), f"a session with the class id {wrong}")


@law("prior", seed=SEEDS, batch=BATCHES, length=strategies.integers(2, LENGTH))
def absent_ids_elsewhere_are_refused(prior: Prior, seed: int, batch: int, length: int) -> Checks:
    """A row in which an id follows an absent one, as in padding at the left, raises an error."""
    draw = Draw(seed, batch)
    ids = draw.ids(length)
    ids[draw.below(batch), draw.below(length - 1)] = -1

    yield refused(lambda: prior(ids), "a pass with an id behind an absent one")
    yield refused(lambda: prior.open(ids, capacity=LENGTH, room=1), "a session with an id behind an absent one")


LAWS = laws_in(globals())


class _Mended(SpoiledPrior):
    """A sound prior that gets other ids and class ids than it is called with."""

    def __init__(self, prior: Prior, mend: Callable[[Tensor], Tensor], mend_class: Callable[[Tensor], Tensor]) -> None:
        super().__init__(prior)
        self._mend, self._mend_class = mend, mend_class

    def __call__(self, ids: Tensor, class_ids: Tensor | None = None, *, noise: Noise | None = None) -> Tensor:
        class_ids = None if class_ids is None else self._mend_class(class_ids)
        return super().__call__(self._mend(ids), class_ids, noise=noise)

    def open(self, ids: Tensor, class_ids: Tensor | None = None, *, capacity: int, room: int) -> Session:
        class_ids = None if class_ids is None else self._mend_class(class_ids)
        session = super().open(self._mend(ids), class_ids, capacity=capacity, room=room)
        return SpoiledSession(session, extend=lambda ids, parents, _: (self._mend(ids), parents))


def generous(prior: Prior) -> Prior:
    """An id out of range is the nearest one that is in range."""
    return _Mended(prior, lambda ids: ids.clamp(-1, prior.vocabulary - 1), lambda class_ids: class_ids)


def classless(prior: Prior) -> Prior:
    """A class id out of range is no class."""
    return _Mended(prior, lambda ids: ids, lambda class_ids: class_ids.where(class_ids < CLASSES, -1).clamp(min=-1))


def compacting(prior: Prior) -> Prior:
    """Ids of a row are moved to the left, over absent ones."""

    def compact(ids: Tensor) -> Tensor:
        return ids.gather(1, (ids == -1).long().argsort(dim=1, stable=True))

    return _Compacted(prior, compact, lambda class_ids: class_ids)


class _Compacted(_Mended):
    def open(self, ids: Tensor, class_ids: Tensor | None = None, *, capacity: int, room: int) -> Session:
        return self._session(self._prior.open(self._mend(ids), class_ids, capacity=capacity, room=room))


OFFENDERS = (
    Offender(ids_outside_the_vocabulary_are_refused, generous),
    Offender(class_ids_outside_the_classes_are_refused, classless),
    Offender(absent_ids_elsewhere_are_refused, compacting),
)
