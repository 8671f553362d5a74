"""Where states are read, and the classes of answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from crt_vib.state_codes.places import Places, answers_at, classes_of
from crtcore.errors import RunError
from crtcore.kinds import Batch


class Rows:
    """Three training windows of six ids below 7."""

    vocabulary, classes, checksum = 7, None, ""
    sizes: ClassVar[Mapping[str, int]] = {"train": 3}
    rows = torch.tensor([[0, 1, 5, 2, 5, 0], [0, 1, 5, 2, 3, 0], [0, 1, 4, 2, 3, 6]])

    def take(self, split: str, indices: Tensor) -> Batch:
        """The rows at indices."""
        return Batch(self.rows[indices], None, None)


def test_places_leave_room_for_the_largest_distance() -> None:
    assert Places(1, 2, 2).of(8).tolist() == [1, 3, 5]


def test_a_window_without_a_place_is_named() -> None:
    with pytest.raises(RunError, match=r"expected windows of more than 10 ids .* got 10"):
        Places(7, 1, 3).of(10)


def test_answers_lie_ahead_of_places() -> None:
    assert answers_at(Rows.rows, torch.tensor([1, 3]), 2).tolist() == [[2, 0], [2, 0], [2, 6]]


def test_a_short_window_is_named() -> None:
    with pytest.raises(RunError, match="expected windows of equal length"):
        answers_at(torch.tensor([[0, 1, -1]]), torch.tensor([1]), 1)


def test_the_most_frequent_answers_have_classes_and_others_share_one() -> None:
    """After places 1 and 3 come 5, 5, 5, 3, 4, 3."""
    classes = classes_of(Rows(), 3, Places(1, 2, 1), 2)

    assert classes.size == 3
    assert classes.table.tolist() == [2, 2, 2, 1, 2, 0, 2]


def test_without_a_limit_every_id_is_its_own_class() -> None:
    classes = classes_of(Rows(), 3, Places(1, 2, 1), 0)

    assert (classes.size, classes.table.tolist()) == (7, list(range(7)))
