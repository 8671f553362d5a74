"""The laws of datasets hold for a sound dataset of ids, and notice each clause that is broken."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor

from crt_laws import Broken, obeys
from crt_laws.laws.dataset import BENCH, ids_are_below_their_vocabulary, ids_come_with_a_vocabulary
from crt_laws.toys import SIZE, Runs, RunsOfIds
from crtcore.kinds import Batch

test_sound_ids = obeys(Runs())


def holed(ids: Tensor) -> Tensor:
    return ids.roll(1, 1)


def moved(by: int) -> Callable[[Tensor], Tensor]:
    return lambda ids: ids + by


@pytest.mark.parametrize(
    "change",
    [holed, moved(-1), moved(SIZE), Tensor.int, Tensor.double, lambda ids: ids[:, 0], lambda ids: ids[..., None]],
    ids=["a hole", "under -1", "beyond the vocabulary", "int32", "no integers", "no row", "one axis more"],
)
def test_data_that_are_no_ids_break_the_law(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor], Tensor]
) -> None:
    take = RunsOfIds.take
    monkeypatch.setattr(RunsOfIds, "take", lambda *request: Batch(change(take(*request).data), None, None))

    with pytest.raises(Broken):
        ids_are_below_their_vocabulary.attempt(BENCH.subject(Runs()))


def test_ids_without_a_vocabulary_break_the_law(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunsOfIds, "vocabulary", None)

    with pytest.raises(Broken):
        ids_come_with_a_vocabulary.attempt(BENCH.subject(Runs()))
