"""The ids of a window at which states are read, their answers, and the classes of these.

Axes: b windows, n ids of a window, m places of a window, v vocabulary.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from crt_run.training.ids import batches, spread
from crtcore.errors import RunError
from crtcore.kinds import View


class Places(NamedTuple):
    """Where states are read, as in `StateCodes`."""

    first: int
    stride: int
    reach: int

    def of(self, length: int) -> Int[Tensor, " m"]:
        """Indices of the last ids in a window of that length.

        Raises: RunError if there is none.
        """
        if length - self.reach <= self.first:
            raise RunError(
                f"state-codes: expected windows of more than {self.first + self.reach} ids (experiment.first and "
                f"reach), got {length}; take longer windows or a smaller `first`"
            )
        return torch.arange(self.first, length - self.reach, self.stride)


def places_of(plan: View) -> Places:
    """The places that a plan declares."""
    return Places(*(plan[f"experiment.{name}"] for name in Places._fields))


def answers_at(ids: Int[Tensor, "b n"], places: Int[Tensor, " m"], distance: int) -> Int[Tensor, "b m"]:
    """The ids at a distance from the last ones.

    Raises: RunError if one is absent.
    """
    answers = ids[:, places.to(ids.device) + distance]
    if bool((answers < 0).any()):
        raise RunError("state-codes: expected windows of equal length, got shorter ones; take 'token-files'")
    return answers


class Classes(NamedTuple):
    """The classes of answers."""

    table: Int[Tensor, " v"]
    """Id to class."""
    size: int


def classes_of(dataset: Any, rows: int, places: Places, answers: int) -> Classes:
    """A class for each of the `answers` ids that follow places of training windows most often, and one for all others.

    Every id has its own if `answers` is 0. Ties go to the smaller id.
    """
    size = dataset.vocabulary
    if not answers or answers >= size:
        return Classes(torch.arange(size), size)
    counts = torch.zeros(size, dtype=torch.int64)
    for batch in batches(dataset, "train", spread(dataset.sizes["train"], rows)):
        following = answers_at(batch.data, places.of(batch.data.shape[1]), 1)
        counts += torch.bincount(following.flatten(), minlength=size)
    kept = counts.argsort(descending=True, stable=True)[:answers]
    table = torch.full((size,), answers).scatter(0, kept, torch.arange(answers))
    return Classes(table, answers + 1)
