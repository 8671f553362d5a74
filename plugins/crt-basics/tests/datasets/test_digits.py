"""The digits: which images there are, how they are split, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from crt_basics.datasets import digits
from crt_basics.datasets.digits import DigitImages
from crt_basics.datasets.specs import Digits
from crt_laws import obeys

test_the_usual_split = obeys(Digits())
test_the_least_held_out = obeys(Digits(validation=1, test=1))
test_the_least_to_train_on = obeys(Digits(validation=1000, test=796))


def rows(dataset: DigitImages, split: str) -> list[tuple[int, ...]]:
    """The images of a split as grey levels, each followed by its digit."""
    batch = dataset.take(split, torch.arange(dataset.sizes[split]))
    assert batch.class_ids is not None
    levels = ((batch.data + 1) * 8).flatten(1).long()
    return [(*image, label) for image, label in zip(levels.tolist(), batch.class_ids.tolist(), strict=True)]


def test_the_splits_hold_every_image_of_scikit_learn_once() -> None:
    dataset = Digits().build()

    result = [row for split in ("train", "validation", "test") for row in rows(dataset, split)]

    raw = load_digits()
    wanted = [(*image, label) for image, label in zip(raw.data.astype(int).tolist(), raw.target.tolist(), strict=True)]
    assert sorted(result) == sorted(wanted)


def test_the_default_sizes_are_those_of_the_published_pilot() -> None:
    assert Digits().build().sizes == {"train": 1197, "validation": 200, "test": 400}


def test_another_number_of_validation_images_leaves_the_test_images_alone() -> None:
    assert rows(Digits(validation=5).build(), "test") == rows(Digits(validation=500).build(), "test")


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_the_split_is_the_same_whatever_torchs_and_numpys_seeds(seed: int) -> None:
    before = rows(Digits().build(), "test")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)
        dataset = Digits().build()

    assert rows(dataset, "test") == before


def test_every_class_is_held_out() -> None:
    """Ten classes of about 180: the chance that 200 random images miss one is under 1e-8."""
    dataset = Digits().build()

    classes = {split: {row[-1] for row in rows(dataset, split)} for split in ("validation", "test")}

    assert classes == {"validation": set(range(10)), "test": set(range(10))}


def changed(part: str, change: Callable[[Any], None]) -> Callable[[], Any]:
    def load() -> Any:
        raw = load_digits()
        copies = {name: raw[name].copy() for name in ("data", "images", "target")}
        change(copies[part])
        return SimpleNamespace(**copies)

    return load


def one_pixel(data: Any) -> None:
    data[900, 30] += 1


def two_labels(target: Any) -> None:
    target[[0, 1]] = target[[1, 0]]


@pytest.mark.parametrize(("part", "change"), [("data", one_pixel), ("target", two_labels)])
def test_the_checksum_shows_a_changed_pixel_and_exchanged_labels(
    monkeypatch: pytest.MonkeyPatch, part: str, change: Callable[[Any], None]
) -> None:
    before = Digits().build().checksum
    monkeypatch.setattr(digits, "load_digits", changed(part, change))

    assert Digits().build().checksum != before


def test_the_checksum_is_of_the_data_and_not_of_the_split() -> None:
    assert Digits(test=10).build().checksum == Digits(test=20).build().checksum


def test_holding_everything_out_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected validation \+ test under 1797, got 1797"):
        Digits(validation=797, test=1000).build()


@pytest.mark.parametrize("index", [-1, 200])
def test_an_index_outside_the_split_is_refused(index: int) -> None:
    with pytest.raises(IndexError, match=f"expected indices from 0 to 199, got {index}"):
        Digits().build().take("validation", torch.tensor([0, index]))


def test_a_split_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a split of test, validation, train, got 'valid'"):
        Digits().build().take("valid", torch.tensor([0]))
