"""Drafters' laws and rules' laws together: exact, as good as published, and below the bound.

Axes: v vocabulary.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable
from functools import cache

import pytest
import torch
from crt_verify import rules
from crt_verify.bounds import level_bounds
from crt_verify.coins import coins
from crt_verify.drafters import Beam, Branching, Chain, Drafter, GreedyTop, Paths, draft_law
from crt_verify.drafters.drafting import Drafting
from crt_verify.pairing import paired
from crt_verify.tree import Tree
from torch import Tensor

from crtcore import Sampling
from crtcore.builtin.table import TablePrior

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


def continued(law: Law, p: Rows, length: int) -> dict[tuple[int, ...], float]:
    """A law of rows of full length: short rows are continued by the target."""
    whole = defaultdict[tuple[int, ...], float](float)
    for row, mass in law.items():
        for rest in itertools.product(range(3), repeat=length - len(row)):
            ids = row + rest
            whole[ids] += mass * math.prod(float(p(ids[:n])[ids[n]]) for n in range(len(row), length))
    return whole


def distance(law: Law, p: Rows, length: int) -> float:
    """Total variation from the target's joint law."""
    told, true = continued(law, p, length), continued({(): 1.0}, p, length)
    return sum(abs(told[row] - true[row]) for row in true) / 2


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


TREES = 1_000_000


@cache
def table() -> TablePrior:
    """A random draft that looks two ids back."""
    generator = torch.Generator().manual_seed(3)
    return TablePrior(1.5 * torch.randn(1, 16, 3, generator=generator, dtype=torch.float64))


@cache
def beams(width: int, length: int) -> dict[Tree, int]:
    """Many beams drawn from the table, the same ones counted together."""
    seen: defaultdict[Tree, int] = defaultdict(int)
    growth = Beam(width=width, length=length).build()
    for part in torch.arange(TREES).chunk(10):
        last = torch.zeros_like(part)
        session = table().open(last[:, None][:, :0], capacity=9, room=20)
        drawn = coins(growth, part, last).draft
        trees, *_ = growth.propose(Drafting(session, last, Sampling()), last + length, drawn)
        rows, times = torch.cat([trees.parents, trees.tokens], 1).unique(dim=0, return_counts=True)
        for row, count in zip(rows.tolist(), times.tolist(), strict=True):
            nodes = 1 + width * length
            seen[Tree(row[:nodes], row[nodes:])] += count
    return seen


@pytest.mark.parametrize(("rule", "exact"), [("recursive", True), ("target-only", True), ("multiround", False)])
def test_a_million_beams_give_the_targets_law_to_sampling_noise(rule: str, exact: bool) -> None:
    """Each tree's law is exact; only trees are sampled. 27 rows at 6.3 standard errors: 1e-8 false alarms."""
    logits = {path: table()(torch.tensor([[0, *path]]))[0, -1].detach() for n in range(3) for path in PATHS[n]}
    judge = rules.rule(rule)
    first, second = torch.zeros(2, 27, dtype=torch.float64)

    for tree, count in beams(2, 2).items():
        paths = [tree.path(node) for node in range(len(tree))]
        q = torch.stack([logits[path].softmax(-1) for path in paths])
        law = judge.law(tree, torch.stack([against(logits[path]) for path in paths]), q)
        whole = continued(law, lambda path: against(logits[path]), 3)
        row = torch.tensor([whole[ids] for ids in PATHS[3]], dtype=torch.float64)
        first += count / TREES * row
        second += count / TREES * row**2

    true = continued({(): 1.0}, lambda path: against(logits[path]), 3)
    error = (first - torch.tensor([true[ids] for ids in PATHS[3]], dtype=torch.float64)).abs()
    noise = ((second - first**2).clamp(min=0) / TREES).sqrt()
    assert bool((error <= 6.3 * noise + 1e-12).all()) == exact
    assert (float(error.sum() / 2) < 2e-3) == exact


PATHS = [list(itertools.product(range(3), repeat=length)) for length in range(4)]


def against(logits: Tensor) -> Tensor:
    """A target that likes least what the draft likes most."""
    return (-logits).softmax(-1)
