"""The bench of image sampling: every way draws the ids of `ancestral`, and a wrong memory shows."""

from __future__ import annotations

import argparse
from typing import Any

import images
import pytest
import torch
from images import Stepper, built, by_steps, coins_of, compiled, eager, first_apart, measured, stepped, whole

BATCH, SIDE = 4, 4
LENGTH = SIDE**2


@pytest.fixture(scope="module")
def prior() -> Any:
    return built("small", 64, LENGTH).float()


@pytest.mark.parametrize("way", [whole, stepped, compiled])
def test_every_way_draws_the_ids_of_ancestral(way: Any, prior: Any) -> None:
    words = {"backend": "aot_eager"} if way is compiled else {}
    first, second = torch.arange(BATCH), torch.arange(BATCH) + 10
    draw, expected = way(prior, BATCH, LENGTH, **words), eager(prior, BATCH, LENGTH)
    draw(first)

    ids = draw(second)

    assert torch.equal(ids, expected(second))
    assert not torch.equal(ids, expected(first))


def test_a_step_that_sees_what_is_behind_it_shows(prior: Any) -> None:
    stepper = Stepper(prior, BATCH, LENGTH)
    sound = stepper.states
    stepper.states = lambda features, positions, visible: sound(features, positions, torch.ones_like(visible))
    draw, classes = by_steps(stepper), torch.arange(BATCH)
    draw(classes.flip(0))

    found = first_apart(draw(classes), eager(prior, BATCH, LENGTH)(classes))

    assert found < images.NEAR


def test_other_coins_show(prior: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "coins_of", lambda batch, length: coins_of(batch + 1, length)[1:])
    classes = torch.arange(BATCH)

    found = first_apart(stepped(prior, BATCH, LENGTH)(classes), eager(prior, BATCH, LENGTH)(classes))

    assert found < images.NEAR


@pytest.mark.parametrize(
    ("ids", "share"), [([[1, 2, 3]], 1.0), ([[1, 9, 9]], 1 / 2), ([[9, 2, 3]], 0.0), ([[1, 2, 3], [1, 2, 9]], 5 / 6)]
)
def test_a_row_counts_up_to_its_first_other_id(ids: list[list[int]], share: float) -> None:
    found = first_apart(torch.tensor(ids), torch.tensor([[1, 2, 3]] * len(ids)))

    assert found == pytest.approx(share)


def test_a_way_that_cannot_run_says_why_and_leaves_the_others(prior: Any) -> None:
    given = argparse.Namespace(side=SIDE, rounds=1, backend="no such compiler")

    rows = list(measured(prior, BATCH, given))

    assert [row["way"] for row in rows] == list(images.WAYS)
    assert [row.get("right") for row in rows] == [True, True, True, None]
    assert "no such compiler" in rows[-1]["not run"]
