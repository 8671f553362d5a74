"""The laws of datasets on ids: kept by sound ones, and broken clause by clause."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import attrs
import pytest
import torch
from torch import Tensor

from crt_laws import obeys
from crt_laws.laws.dataset import BENCH, ids_are_below_their_vocabulary
from crtcore.kinds import Batch, DatasetSpec

SIZE = 20


@attrs.frozen(kw_only=True)
class Runs(DatasetSpec):
    """Rows of one id each, more of it in each split than in the one before, absent from a place on."""

    form: ClassVar[str] = "ids"

    def build(self) -> RunsOfIds:
        return RunsOfIds()


class RunsOfIds:
    sizes = dict.fromkeys(("train", "validation", "test"), SIZE)
    classes, levels, checksum = None, None, "0" * 64
    vocabulary: int | None = SIZE

    def take(self, split: str, indices: Tensor) -> Batch:
        if ((indices < 0) | (indices >= SIZE)).any():
            raise IndexError
        present = torch.arange(4) <= list(self.sizes).index(split)
        return Batch(indices[:, None].where(present, -1), None, None)


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
def test_the_law_of_ids_catches_what_are_none(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor], Tensor]
) -> None:
    take = RunsOfIds.take
    monkeypatch.setattr(RunsOfIds, "take", lambda *asked: Batch(change(take(*asked).data), None, None))

    with pytest.raises(AssertionError):
        ids_are_below_their_vocabulary.attempt(BENCH.subject(Runs()))


def test_the_law_of_ids_catches_ids_without_a_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunsOfIds, "vocabulary", None)

    with pytest.raises(AssertionError):
        ids_are_below_their_vocabulary.attempt(BENCH.subject(Runs()))
