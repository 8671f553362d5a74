"""Drafters' laws and rules' laws together: exact, as good as published, and below the bound.

Axes: v vocabulary.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable

import pytest
import torch
from crt_verify.bounds import level_bounds
from crt_verify.drafters import Branching, Chain, Drafter, GreedyTop, Paths, draft_law
from crt_verify.pairing import paired
from torch import Tensor

Rows = Callable[[tuple[int, ...]], Tensor]
Law = dict[tuple[int, ...], float]

DRAFTERS: tuple[Drafter, ...] = (
    Chain(length=3),
    Paths(paths=3, length=1),
    Paths(paths=2, length=2),
    Branching(branching=(3, 1)),
    Branching(branching=(2, 2)),
    Branching(branching=(2, 1, 1)),
    GreedyTop(branching=(3, 1)),
    GreedyTop(branching=(2, 2)),
    GreedyTop(branching=(2, 1, 1)),
)
RULES = {
    Chain: ("single", "block", "multiround", "kseq", "recursive", "traversal", "greedy", "target-only"),
    Paths: ("multiround", "kseq", "traversal", "target-only"),
    Branching: ("recursive", "traversal", "target-only"),
    GreedyTop: ("greedy", "target-only"),
}
PAIRS = [(drafter, rule) for drafter in DRAFTERS for rule in RULES[type(drafter)]]


def same(*law: float) -> Rows:
    """The same law whatever came before."""
    row = torch.tensor(law, dtype=torch.float64)
    return lambda _: row


def varied(seed: int, zeros: float) -> Rows:
    """Another random law of three ids after each path, some of their entries 0."""

    def row(path: tuple[int, ...]) -> Tensor:
        place = sum((x + 1) * 4**n for n, x in enumerate(path))
        generator = torch.Generator().manual_seed(1000 * seed + place)
        weights = -torch.rand(3, generator=generator, dtype=torch.float64).log()
        never = torch.rand(3, generator=generator) < zeros
        never[torch.randint(3, (), generator=generator)] = False
        weights = weights.masked_fill(never, 0)
        return weights / weights.sum()

    return row


def emitted(drafter: Drafter, rule: str, p: Rows, q: Rows) -> Law:
    """The law of what a round emits, over all trees and coins."""
    judge, law = paired(drafter, rule), defaultdict[tuple[int, ...], float](float)
    for tree, drawn in draft_law(drafter, q):
        paths = [tree.path(node) for node in range(len(tree))]
        for row, chance in judge.law(tree, torch.stack([*map(p, paths)]), torch.stack([*map(q, paths)])).items():
            law[row] += drawn * chance
    return dict(law)


def distance(law: Law, p: Rows, length: int) -> float:
    """Total variation from the target's joint law, once short rows are continued by the target."""

    def chance(row: tuple[int, ...], start: int) -> float:
        return math.prod(float(p(row[:n])[row[n]]) for n in range(start, len(row)))

    whole = defaultdict[tuple[int, ...], float](float)
    for row, mass in law.items():
        for rest in itertools.product(range(3), repeat=length - len(row)):
            whole[row + rest] += mass * chance(row + rest, len(row))
    return sum(abs(whole[row] - chance(row, 0)) for row in itertools.product(range(3), repeat=length)) / 2


def mean(law: Law) -> float:
    """Mean emitted ids."""
    return math.fsum(len(row) * chance for row, chance in law.items())


@pytest.mark.parametrize(("drafter", "rule"), PAIRS, ids=str)
@pytest.mark.parametrize("zeros", [0.0, 0.4])
def test_a_pairing_has_the_targets_joint_law_and_stays_below_the_bound(
    drafter: Drafter, rule: str, zeros: float
) -> None:
    for seed in range(2):
        p, q = varied(seed, zeros), varied(seed + 100, zeros)

        law = emitted(drafter, rule, p, q)

        assert distance(law, p, len(drafter.widths) + 1) <= 1e-12
        assert mean(law) - 1 <= sum(level_bounds(draft_law(drafter, q), p)) + 1e-8


@pytest.mark.parametrize(
    ("branching", "in_turn", "from_leaves"),
    [
        ((1,), "1.7", "1.7"),
        ((2,), "1.82", "1.82"),
        ((3,), "2.0", "2.0"),
        ((1, 1), "2.19", "2.25"),
        ((2, 1), "2.394", "2.454"),
        ((2, 2), "2.4924", "2.5284"),
        ((3, 1), "2.7", "2.76"),
    ],
)
def test_distinct_siblings_emit_as_many_ids_as_published(
    branching: tuple[int, ...], in_turn: str, from_leaves: str
) -> None:
    p, q, drafter = same(0.5, 0.3, 0.2), same(0.2, 0.3, 0.5), Branching(branching=branching)

    means = [mean(emitted(drafter, rule, p, q)) for rule in ("recursive", "traversal")]

    assert means == pytest.approx([float(in_turn), float(from_leaves)], abs=1e-12)


@pytest.mark.parametrize(("paths", "value"), [(1, 1.7), (2, 1.76), (3, 1.808)])
def test_independent_siblings_emit_as_many_ids_as_published(paths: int, value: float) -> None:
    p, q = same(0.5, 0.3, 0.2), same(0.2, 0.3, 0.5)

    means = [mean(emitted(Paths(paths=paths, length=1), rule, p, q)) for rule in ("multiround", "traversal")]

    assert means == pytest.approx([value, value], abs=1e-12)


@pytest.mark.parametrize(("rule", "value"), [("single", 10 / 9), ("block", 11 / 9)])
def test_a_chain_of_two_coins_accepts_as_many_ids_as_published(rule: str, value: float) -> None:
    p, q = same(1 / 3, 2 / 3), same(2 / 3, 1 / 3)

    law = emitted(Chain(length=2), rule, p, q)

    assert mean(law) - 1 == pytest.approx(value, abs=1e-12)
    assert sum(level_bounds(draft_law(Chain(length=2), q(())), p)) == pytest.approx(12 / 9, abs=1e-8)


def test_likely_siblings_reach_their_bound() -> None:
    p, q = same(0.4, 0.3, 0.2, 0.1), same(0.1, 0.2, 0.3, 0.4)

    means = [mean(emitted(GreedyTop(branching=(k,)), "greedy", p, q)) for k in range(1, 5)]

    assert [round(m - 1, 6) for m in means] == [0.6, 0.766667, 0.933333, 1]
