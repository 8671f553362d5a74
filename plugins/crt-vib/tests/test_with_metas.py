"""METAs among another dataset's ids: their number, their places, and the remaining text."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crt_basics.datasets.specs import Digits, PythonSource
from crt_data.specs import TokenFiles
from crt_laws import obeys
from crt_vib.with_metas.dataset import MetaSamples, random_places
from crt_vib.with_metas.spec import WithMetas
from crtcore import FieldError
from crtcore.kinds import Batch, DatasetSpec

test_metas_beside_the_text = obeys(WithMetas(dataset=PythonSource(length=32)))
test_metas_that_push_text_out = obeys(WithMetas(dataset=PythonSource(length=32), share=0.25, counted="whole", seed=1))

META = 9


class Rows:
    """Three samples of ids below 9 in each split, of 10, 4 and no ids."""

    classes, levels, vocabulary = None, None, META
    checksum = "0" * 64

    def __init__(self, weight: bool) -> None:
        self.weight = weight
        self.sizes = {"train": 3, "validation": 3, "test": 3}

    def take(self, split: str, indices: Tensor) -> Batch:
        text = torch.arange(10).remainder(META).expand(3, -1)
        ids = text.where(torch.arange(10) < torch.tensor([10, 4, 0])[:, None], -1)
        weight = torch.arange(30, dtype=torch.float32).view(3, 10)
        return Batch(ids[indices], None, weight[indices] if self.weight else None)


@attrs.frozen(kw_only=True)
class SomeRows(DatasetSpec):
    form = "ids"
    weight: bool = False

    def build(self) -> Any:
        return Rows(self.weight)


def made(**fields: Any) -> MetaSamples:
    return WithMetas(dataset=SomeRows(), **fields).build()


ALL = torch.arange(3)


@settings(deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 2**40), split=st.sampled_from(["train", "validation", "test"]))
def test_the_text_is_complete_and_in_order(share: float, seed: int, split: str) -> None:
    batch = made(share=share, seed=seed).take(split, ALL)

    for row, text in zip(batch.data, Rows(False).take(split, ALL).data, strict=True):
        assert row[(row >= 0) & (row != META)].tolist() == text[text >= 0].tolist()
        assert (row == META).sum().item() == round(share * (text >= 0).sum().item())


@settings(deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 2**40))
def test_a_share_of_the_whole_keeps_the_length_and_drops_the_end_of_the_text(share: float, seed: int) -> None:
    batch = made(share=share, seed=seed, counted="whole").take("train", ALL)

    assert (batch.data >= 0).sum(-1).tolist() == [10, 4, 0]
    for row, text in zip(batch.data, Rows(False).take("train", ALL).data, strict=True):
        kept = row[(row >= 0) & (row != META)].tolist()
        assert kept == text[: len(kept)].tolist()
        assert (row == META).sum().item() == round(share * (text >= 0).sum().item())


@pytest.mark.parametrize("counted", ["text", "whole"])
def test_metas_and_absent_ids_have_weight_0(counted: Any) -> None:
    data, _, weight = made(share=0.3, counted=counted).take("train", ALL)

    assert weight is not None
    assert torch.equal(weight, ((data >= 0) & (data != META)).float())


def test_weights_of_the_text_stay_with_it() -> None:
    data, _, weight = WithMetas(dataset=SomeRows(weight=True), share=0.4).build().take("train", torch.tensor([0]))

    assert weight is not None
    assert weight[data != META].tolist() == list(range(10))
    assert weight[data == META].eq(0).all()


def test_the_published_share_of_a_block_is_102() -> None:
    """0.1 of 1,024, that is 102.4."""
    dataset = WithMetas(dataset=PythonSource(length=1024), counted="whole").build()

    data = dataset.take("train", torch.arange(40)).data

    full = (data >= 0).all(-1)
    assert full.any()
    assert (data[full] == 256).sum(-1).eq(102).all()


@given(share=st.floats(0, 1), counted=st.sampled_from(["text", "whole"]), length=st.integers(2, 40))
def test_a_sample_has_the_shape_of_its_spec(share: float, counted: Any, length: int) -> None:
    tokens = TokenFiles(folder="nowhere", length=length, vocabulary=META)
    spec = WithMetas(dataset=tokens, share=share, counted=counted)

    class Whole(Rows):
        def take(self, split: str, indices: Tensor) -> Batch:
            return Batch(torch.zeros(len(indices), length, dtype=torch.int64), None, None)

    @attrs.frozen(kw_only=True)
    class Full(SomeRows):
        def build(self) -> Any:
            return Whole(False)

    there = WithMetas(dataset=Full(), share=share, counted=counted).build()
    assert spec.sample_shape == there.take("train", ALL).data.shape[1:]
    assert spec.vocabulary == there.vocabulary


def test_places_are_uniform() -> None:
    """2 METAs of 12 places in 12,000 draws of each: a place has 2,000 with a deviation of 41.

    Off by more than 5.5 of those, 225, in one of 12 places with probability below 12 * 4e-8.
    """
    dataset = made(share=0.2)
    places = torch.zeros(12)

    for seed in range(6000):
        dataset._spec = attrs.evolve(dataset._spec, seed=seed)
        places += (dataset.take("train", torch.tensor([0, 0])).data == META).sum(0)

    assert (places - 2000).abs().max() < 225


def test_random_places_are_within_the_row() -> None:
    words = torch.tensor([[5, 4, 3, 2, 1], [0, 0, 0, 0, 0]])

    chosen = random_places(words, torch.tensor([3, 5]), torch.tensor([2, 1]))

    assert chosen.tolist() == [[False, True, True, False, False], [True, False, False, False, False]]


def test_seed_split_and_index_each_give_other_places() -> None:
    one = made(share=0.5, seed=0)

    def flags(dataset: MetaSamples, split: str, index: int) -> list[bool]:
        return (dataset.take(split, torch.tensor([index])).data[0] == META).tolist()

    places = [flags(one, "train", 0), flags(made(share=0.5, seed=1), "train", 0), flags(one, "test", 0)]
    assert len(set(map(tuple, places))) == 3
    assert flags(one, "train", 0) == places[0]


def test_a_dataset_of_no_ids_is_refused() -> None:
    with pytest.raises(FieldError, match="dataset: expected a dataset of form 'ids', got one of form 'image'"):
        WithMetas(dataset=Digits())
