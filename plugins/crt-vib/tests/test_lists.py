"""Lists: contents of rows, uniform answers, and disjoint splits."""

from __future__ import annotations

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crt_laws import obeys
from crt_vib.lists.spec import NAMES, Lists

settings.register_profile("lists", deadline=None, max_examples=20)
settings.load_profile("lists")

SMALL = Lists(lists=2, items=3, symbols=4, noise=0.2, meta="mixed", train=600, validation=200, test=200)
TINY = Lists(lists=2, symbols=3, train=600, validation=300, test=300)
"""336 questions up to cyclic shifts of the symbols."""

test_the_example = obeys(Lists())
test_small_rows_with_metas = obeys(SMALL)

SPECS = st.builds(
    Lists,
    lists=st.integers(2, NAMES),
    items=st.integers(1, 4),
    symbols=st.integers(2, 20),
    meta=st.sampled_from(["none", "final", "mixed"]),
    seed=st.integers(0, 99),
    train=st.just(64),
    validation=st.just(64),
    test=st.just(64),
)


def rows(spec: Lists, split: str = "test", count: int = 64) -> Tensor:
    """The first rows of a split."""
    return spec.build().take(split, torch.arange(count)).data


def pointed(spec: Lists, row: list[int]) -> int:
    """The item that a row's question points to, looked up by hand."""
    length = 1 + spec.items
    lists = {row[at]: row[at + 1 : at + length] for at in range(0, spec.lists * length, length)}
    mark, name, place = row[spec.lists * length :][:3]
    assert mark == spec.symbols + NAMES
    return lists[name][place - mark - 1]


@given(SPECS, st.sampled_from(["train", "validation", "test"]))
def test_the_answer_is_the_item_that_the_question_points_to(spec: Lists, split: str) -> None:
    for row in rows(spec, split).tolist():
        present = [each for each in row if each >= 0]

        assert present[-1] == pointed(spec, row)


@given(SPECS)
def test_every_list_has_a_different_name(spec: Lists) -> None:
    names = rows(spec)[:, : spec.lists * (1 + spec.items) : 1 + spec.items]

    assert ((names >= spec.symbols) & (names < spec.symbols + NAMES)).all()
    assert all(len(set(row)) == spec.lists for row in names.tolist())


@given(SPECS)
def test_meta_precedes_the_answer_in_the_rows_that_have_it(spec: Lists) -> None:
    data = rows(spec)

    meta = (data == spec.vocabulary - 1).sum(1)
    expected = {"none": torch.zeros(64), "final": torch.ones(64), "mixed": torch.arange(64) % 2}[spec.meta]
    assert meta.tolist() == expected.int().tolist()
    for row in data.tolist():
        present = [each for each in row if each >= 0]
        assert spec.vocabulary - 1 not in (*present[:-2], present[-1])


@given(SPECS)
def test_only_the_answer_has_a_weight(spec: Lists) -> None:
    batch = spec.build().take("train", torch.arange(64))

    assert batch.weight is not None
    last = (batch.data >= 0).sum(1) - 1
    assert batch.weight.sum(1).tolist() == [1.0] * 64
    assert batch.weight.gather(1, last[:, None]).min() == 1


@given(SPECS)
def test_metas_and_noise_do_not_change_the_questions(spec: Lists) -> None:
    plain = attrs.evolve(spec, meta="none", noise=0.0)

    width = spec.lists * (1 + spec.items) + 3
    noisy = attrs.evolve(spec, noise=0.5)
    assert torch.equal(rows(noisy)[:, :width], rows(plain)[:, :width])


@given(SPECS)
def test_the_case_of_a_row_is_its_answer_without_noise(spec: Lists) -> None:
    noisy, plain = (attrs.evolve(spec, meta="none", noise=noise) for noise in (0.5, 0.0))

    data = rows(plain)
    assert torch.equal(plain.build().cases(data[:, :-1]), data[:, -1])
    assert torch.equal(noisy.build().cases(rows(noisy)[:, :-1]), data[:, -1])


def questions(spec: Lists, split: str) -> set[tuple[int, ...]]:
    """The questions of a split, with symbols shifted so that the first item is symbol 0."""
    asked = set()
    for row in rows(spec, split, spec.build().sizes[split]).tolist():
        symbols = [(each - row[1]) % spec.symbols if each < spec.symbols else each for each in row[:-1]]
        asked.add(tuple(symbols))
    return asked


def test_no_question_is_in_two_splits_even_with_shifted_symbols() -> None:
    train, validation, test = (questions(TINY, split) for split in ("train", "validation", "test"))

    assert min(len(train), len(validation), len(test)) > 50
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_questions_of_another_seed_are_in_two_splits() -> None:
    assert questions(TINY, "train") & questions(attrs.evolve(TINY, seed=1), "test")


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("split", ["train", "test"])
def test_answers_are_uniform_over_the_symbols(split: str, noise: float) -> None:
    """20,000 answers in 16 cells: a chi-squared of 15 degrees of freedom is above 56.5 once in 1e6."""
    answers = Lists(noise=noise).build().take(split, torch.arange(20_000)).data[:, -1]

    counts = torch.bincount(answers, minlength=16).double()
    assert ((counts - 1250).square() / 1250).sum() < 56.5


def test_the_share_of_wrong_answers_is_that_of_the_noise() -> None:
    """20,000 rows, 0.2 times 15/16 of them wrong: five standard errors of a binomial share, 6e-7 of false alarms."""
    spec = Lists(noise=0.2)
    data = rows(spec, count=20_000).tolist()

    share = sum(row[-1] != pointed(spec, row) for row in data) / len(data)

    expected = 0.2 * 15 / 16
    assert abs(share - expected) < 5 * (expected * (1 - expected) / len(data)) ** 0.5
