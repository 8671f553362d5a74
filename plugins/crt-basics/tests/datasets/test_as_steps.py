"""Rows of ids as the steps of traces."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from crt_basics.datasets.as_steps import Steps, delimited
from crt_basics.datasets.specs import AsSteps, Digits, PythonSource
from crt_laws import obeys
from crtcore.errors import RunError
from crtcore.kinds import Batch
from crtcore.spec import FieldError

test_some_windows_as_steps = obeys(AsSteps(dataset=PythonSource(length=32), samples=200))


class Rows:
    """Ten samples of a split, sample i of the ids i, 1, 2 or less of them."""

    classes, levels, vocabulary = None, None, 10
    checksum = "0" * 64

    def __init__(self, weight: bool = False) -> None:
        self.weight = weight
        self.sizes = {"train": 10, "validation": 3, "test": 3}

    def take(self, split: str, indices: Tensor) -> Batch:
        ids = torch.stack((indices, torch.ones_like(indices), torch.full_like(indices, 2)), 1)
        return Batch(ids, None, torch.ones(ids.shape) if self.weight else None)


def built(monkeypatch: pytest.MonkeyPatch, samples: int, **fields: Any) -> Steps:
    monkeypatch.setattr(PythonSource, "build", lambda _: Rows(**fields))
    return Steps(AsSteps(dataset=PythonSource(), samples=samples))


def test_delimiters_are_around_the_present_ids() -> None:
    rows = delimited(torch.tensor([[5, 6, 7], [5, -1, -1], [-1, -1, -1]]), 13)

    assert rows.tolist() == [[10, 5, 6, 7, 11, 12], [10, 5, 11, 12, -1, -1], [10, 11, 12, -1, -1, -1]]


def test_a_split_has_evenly_spaced_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = built(monkeypatch, 4)

    assert dataset.sizes == {"train": 4, "validation": 3, "test": 3}
    assert dataset.take("train", torch.arange(4)).data[:, 1].tolist() == [0, 2, 5, 7]


def test_the_checksum_depends_on_the_number_of_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (built(monkeypatch, samples).checksum for samples in (4, 5))

    assert one != other


def test_loss_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = built(monkeypatch, 0, weight=True)

    with pytest.raises(RunError, match="as-steps: expected ids of equal weight, got loss weights"):
        dataset.take("train", torch.arange(2))


def test_images_are_refused() -> None:
    with pytest.raises(FieldError, match="dataset: expected a dataset of form 'ids', got one of form 'image'"):
        AsSteps(dataset=Digits())
