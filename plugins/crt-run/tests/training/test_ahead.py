"""Batches ahead: what a dataset is asked for, and in what order."""

from __future__ import annotations

import torch
from torch import Tensor

from crt_run.likelihood import CHUNK
from crt_run.training.ahead import take_ahead
from crt_run.training.ids import batches
from crtcore.kinds import Batch


class Noted:
    """Notes what it is asked for; batches have their indices as data."""

    def __init__(self, ahead: int) -> None:
        self.asked: list[tuple[str, list[int]]] = []
        self.ahead = ahead

    def prefetch(self, split: str, indices: Tensor) -> None:
        self.asked.append((f"ahead {split}", indices.tolist()))

    def take(self, split: str, indices: Tensor) -> Batch:
        self.asked.append((split, indices.tolist()))
        return Batch(indices, None, None)


def pair(step: int) -> Tensor:
    return torch.tensor([2 * step, 2 * step + 1])


def test_the_next_batches_are_begun_before_one_is_taken() -> None:
    dataset = Noted(2)

    batch = take_ahead(dataset, "train", pair, 4, 100)

    assert batch.data.tolist() == [8, 9]
    assert dataset.asked == [
        ("ahead train", [8, 9]), ("ahead train", [10, 11]), ("ahead train", [12, 13]), ("train", [8, 9]),
    ]  # fmt: skip


def test_nothing_is_begun_beyond_the_last_step() -> None:
    dataset = Noted(2)

    take_ahead(dataset, "train", pair, 8, 10)

    assert [indices for what, indices in dataset.asked if what != "train"] == [[16, 17], [18, 19]]


def test_a_dataset_that_reads_nothing_ahead_is_asked_for_nothing_more() -> None:
    dataset = Noted(0)

    take_ahead(dataset, "train", pair, 4, 100)

    assert dataset.asked == [("train", [8, 9])]


def test_the_batches_of_a_whole_split_are_begun_too() -> None:
    dataset = Noted(1)

    rows = [batch.data.tolist() for batch in batches(dataset, "test", torch.arange(2 * CHUNK + 1))]

    assert [len(each) for each in rows] == [CHUNK, CHUNK, 1]
    assert [what for what, _ in dataset.asked] == [*["ahead test", "ahead test", "test"] * 2, "ahead test", "test"]
