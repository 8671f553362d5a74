"""The bench of speed: every arm that needs no other package runs, and the floor counts the rows that walks read."""

from __future__ import annotations

from typing import Any

import pytest
import speed
import torch
from drafted import SHAPES, Arms, read_rows
from machine import here

from crt_verify.tree import Tree, batch


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each arm is called once, and its verdicts have no fault."""

    def called(_: Any, call: Any, rounds: int) -> float:
        assert (getattr(call(0), "fault", torch.zeros(1)) == 0).all()
        return 1.0

    monkeypatch.setattr(type(here()), "microseconds", called)


@pytest.mark.parametrize("tree", SHAPES)
def test_every_arm_verifies_what_is_generated(tree: str) -> None:
    times = speed.measured(SHAPES[tree], 2, 50, rounds=1, rate=1.0)

    name = "single" if tree == "chain 5" else "recursive"
    assert {name, f"{name}, torch", f"{name}, logits", f"{name}, logits, top-p", f"{name}, softmax first"} <= set(times)
    assert min(times.values()) > 0


def test_every_choice_of_layout_and_blocks_is_timed() -> None:
    times = speed.chosen(2, 50, rounds=1)

    assert len(times) == 3 * 5 * 2


@pytest.mark.parametrize(
    ("name", "likely", "rows"),
    [
        ("single", 1.0, 1),  # all are accepted without their rows: the leaf's row
        ("single", 0.0, 2),  # the first is rejected: both rows of the root
        ("kseq", 1.0, 2 * 3 + 1),  # it reads every row that it reaches
        ("target-only", 0.0, 1),
    ],
)
def test_the_floor_counts_rows_that_are_read(name: str, likely: float, rows: int) -> None:
    q = torch.zeros(1, 4, 5).index_fill(2, torch.tensor(2), 1.0)
    p = likely * q + (1 - likely) * torch.zeros(1, 4, 5).index_fill(2, torch.tensor(3), 1.0)
    trees, uniforms = batch([Tree([-1, 0, 1, 2], [-1, 2, 2, 2])]), torch.zeros(1, 4, dtype=torch.int64)

    read = read_rows(name, (trees, None, None, uniforms, uniforms), (p, q), from_probabilities=True)

    assert read == rows


FLOOR = "probabilities within 1.3 times the bytes' floor, batch 64 and up"
ROW = {"vocabulary": 128_000, "batch": 64, "tree": "chain 5", "single": 12.0, "single, floor": 10.0}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (ROW, [f"{FLOOR}: met, 1.20 at worst of 1"]),
        (ROW | {"single": 20.0}, [f"{FLOOR}: not met, 2.00 at worst of 1"]),
        (ROW | {"batch": 1}, []),
        (
            {"batch": 1, "single": 10.0, "FlashInfer": 9.0},
            ["a chain as fast as FlashInfer's kernel: not met, 0.90 at worst of 1"],
        ),
        ({"batch": 1, "single": 10.0, "FlashInfer": "not run: no compiler"}, []),
        (
            {"vocabulary": 128_000, "batch": 1, "tree": "rsd-s (5,6)", "recursive": 19.0},
            ["a verdict in 20 us, batch 1, 128,000 ids, rsd-s (5,6): met, 19.00 at worst of 1"],
        ),
    ],
)  # fmt: skip
def test_goals_are_compared_with_the_worst_number(row: dict[str, Any], expected: list[str]) -> None:
    sentences = speed.goals([row])

    assert sentences == expected


def test_a_goal_of_four_times_takes_the_smallest() -> None:
    rows = [{"batch": 8, "single, logits": 1.0, "single, softmax first": times} for times in (5.0, 3.0, 9.0)]

    sentences = speed.goals(rows)

    assert sentences == ["logits 4 times as fast as a softmax first: not met, 3.00 at worst of 3"]


def test_sizes_of_the_goals_come_first() -> None:
    sizes = [(vocabulary, batch) for vocabulary in (32_000, 128_000) for batch in (1, 8, 64, 256)]

    order = speed.in_order(sizes)

    assert order[:3] == [(128_000, 64), (32_000, 64), (128_000, 1)]
    assert sorted(order) == sorted(sizes)


def test_an_arm_that_cannot_run_gives_the_reason_and_leaves_the_others() -> None:
    def fails(_: int) -> None:
        raise RuntimeError("no\ncompiler")

    outcome = speed.timed(fails, 1)

    assert outcome == "not run: no compiler"


def test_arms_of_a_package_that_does_not_fit_give_the_reason() -> None:
    def missing() -> Arms:
        raise ImportError("no such library")

    arms = speed.peer("FlashInfer", missing)

    assert {name: speed.timed(arm, 1) for name, arm in arms.items()} == {"FlashInfer": "not run: no such library"}
