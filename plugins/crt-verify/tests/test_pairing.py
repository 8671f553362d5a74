"""Drafters with rules: exact, as good as published, and below the bound.

Axes: v vocabulary.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable
from functools import cache

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crt_basics.priors.table import TablePrior
from crt_verify import rules
from crt_verify.bounds import acceptance_bound, fixed_bound, greedy_bound, level_bounds, path_bounds
from crt_verify.drafters import Beam, Branching, Chain, Drafter, GreedyTop, Likeliest, Paths, draft_distribution
from crt_verify.drafters.draft_session import DraftSession
from crt_verify.pairing import EXACT, paired
from crt_verify.rules import Rule
from crt_verify.rules.plan import Plan
from crt_verify.rules.tree_batch import TreeBatch
from crt_verify.tree import Tree
from crt_verify.uniforms import UniformStream
from crtcore import Sampling

from .strategies import Ids, Pair, pairs

Rows = Callable[[Ids], Tensor]
Distribution = dict[Ids, float]
FEW = settings(max_examples=3, deadline=None, derandomize=True, database=None)
MANY = settings(FEW, max_examples=15)

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
    Likeliest(width=2, length=2, size=3),
    Likeliest(width=3, length=1, size=3),
)
PAIRINGS = [(drafter, rule) for drafter in DRAFTERS for rule, kinds in EXACT.items() if isinstance(drafter, kinds)]
ONE_NODE: dict[type[Drafter], Callable[[int], Drafter]] = {
    Chain: lambda _: Chain(length=1),
    Paths: lambda k: Paths(paths=k, length=1),
    Branching: lambda k: Branching(branching=(k,)),
    GreedyTop: lambda k: GreedyTop(branching=(k,)),
}
"""Drafters of `k` children of the root; a chain has one."""
AT_A_NODE = [(kind, rule) for kind in ONE_NODE for rule, kinds in EXACT.items() if kind in kinds]
READERS = tuple(name for name in EXACT if name != "target-only")
"""The rules that reach the bound of one child; the other one does not read the draft."""
CROSSED = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]], dtype=torch.float64)


def emitted(drafter: Drafter, verifier: Rule, p: Rows, q: Rows) -> Distribution:
    """The distribution of what a round emits, over all trees."""
    chances = defaultdict[Ids, float](float)
    for tree, drawn in draft_distribution(drafter, q):
        paths = [tree.path(node) for node in range(len(tree))]
        for row, chance in verifier.distribution(
            tree, torch.stack([*map(p, paths)]), torch.stack([*map(q, paths)])
        ).items():
            chances[row] += drawn * chance
    return dict(chances)


def continued(chances: Distribution, p: Rows, length: int) -> Distribution:
    """The distribution of rows of full length: short rows are continued by the target."""
    whole = defaultdict[Ids, float](float)
    for row, mass in chances.items():
        for rest in itertools.product(range(len(p(()))), repeat=length - len(row)):
            ids = row + rest
            whole[ids] += mass * math.prod(float(p(ids[:n])[ids[n]]) for n in range(len(row), length))
    return whole


def distance(chances: Distribution, p: Rows, length: int) -> float:
    """Total variation from the target's joint distribution."""
    actual, true = continued(chances, p, length), continued({(): 1.0}, p, length)
    return sum(abs(actual[row] - true[row]) for row in true) / 2


def mean(chances: Distribution) -> float:
    """Mean emitted ids."""
    return math.fsum(len(row) * chance for row, chance in chances.items())


def bound(kind: type[Drafter], p: Tensor, q: Tensor, k: int) -> float:
    """The largest acceptance of a node for a drafter."""
    if kind is GreedyTop:
        return float(greedy_bound(p, q, k))
    return float(acceptance_bound(p, q, 1 if kind is Chain else k, replacement=kind is not Branching))


@pytest.mark.parametrize(("drafter", "rule"), PAIRINGS, ids=str)
@FEW
@given(pair=pairs(st.integers(2, 3)))
def test_a_pairing_is_exact_and_below_the_bound(drafter: Drafter, rule: str, pair: Pair) -> None:
    chances = emitted(drafter, paired(drafter, rule), pair.p, pair.q)

    levels = sum(level_bounds(draft_distribution(drafter, pair.q), pair.p))
    assert distance(chances, pair.p, len(drafter.widths) + 1) <= 1e-12
    assert mean(chances) - 1 <= levels + 1e-8  # the solver's error
    if isinstance(drafter, Chain | Paths):
        count = drafter.widths[0]
        assert mean(chances) - 1 <= sum(path_bounds(pair.p, pair.q, len(drafter.widths), count)) + 1e-12


@pytest.mark.parametrize(("kind", "rule"), AT_A_NODE)
@MANY
@given(pair=pairs(st.integers(1, 4)), k=st.integers(1, 3))
def test_no_rule_accepts_more_at_a_node_than_its_bound(kind: type[Drafter], rule: str, pair: Pair, k: int) -> None:
    drafter = ONE_NODE[kind](k)

    accepted = mean(emitted(drafter, paired(drafter, rule), pair.p, pair.q)) - 1

    most = bound(kind, pair.p(()), pair.q(()), k)
    assert accepted <= most + 1e-12
    if rule == "greedy" or (kind is Chain and rule in READERS):
        assert accepted >= most - 1e-12  # these are optimal


def eager(rule: Rule, share: float) -> Rule:
    """A rule that accepts each node more often than it should."""

    def plan(batch: TreeBatch) -> Plan:
        plan = rule.plan(batch)
        return plan._replace(gain=plan.gain + share * (plan.bar - plan.gain).clamp(min=0))

    return attrs.evolve(rule, plan=plan)


@pytest.mark.parametrize(
    ("drafter", "rule"),
    [*((Chain(length=1), name) for name in READERS), (GreedyTop(branching=(3,)), "greedy")],
    ids=str,
)
def test_a_rule_that_accepts_more_than_its_bound_is_caught(drafter: Drafter, rule: str) -> None:
    p, q = CROSSED

    accepted = mean(emitted(drafter, eager(paired(drafter, rule), 0.1), lambda _: p, lambda _: q)) - 1

    assert accepted > bound(type(drafter), p, q, drafter.widths[0]) + 0.01


@pytest.mark.parametrize(
    ("drafter", "rule"),
    [
        (Chain(length=2), "block"),
        (Branching(branching=(2, 1)), "traversal"),
        (GreedyTop(branching=(2, 1)), "greedy"),
    ],
    ids=str,
)
def test_a_rule_that_accepts_more_of_a_tree_than_its_bound_is_caught(drafter: Drafter, rule: str) -> None:
    p, q = CROSSED

    accepted = mean(emitted(drafter, eager(paired(drafter, rule), 0.8), lambda _: p, lambda _: q)) - 1

    assert accepted > sum(level_bounds(draft_distribution(drafter, q), lambda _: p)) + 0.01


def test_the_bound_of_other_draws_is_caught() -> None:
    p, q = CROSSED
    drafter = Branching(branching=(4,))

    accepted = mean(emitted(drafter, paired(drafter, "recursive"), lambda _: p, lambda _: q)) - 1

    assert accepted > bound(Paths, p, q, 4) + 0.01


@MANY
@given(pair=pairs(4), ids=st.lists(st.integers(0, 3), min_size=1, max_size=5))
def test_a_target_alone_accepts_fixed_children_up_to_their_bound(pair: Pair, ids: list[int]) -> None:
    tree, p = Tree((-1, *[0] * len(ids)), (-1, *ids)), pair.p(())

    chances = rules.rule("target-only").distribution(tree, p.expand(len(tree), -1), p.expand(len(tree), -1))

    assert mean(chances) - 1 == pytest.approx(float(fixed_bound(p, torch.tensor(ids))), abs=1e-12)


TREES = 1_000_000


@cache
def table() -> TablePrior:
    """A random draft that looks two ids back."""
    generator = torch.Generator().manual_seed(3)
    return TablePrior(1.5 * torch.randn(1, 16, 3, generator=generator, dtype=torch.float64))


@cache
def beams(width: int, length: int) -> dict[Tree, int]:
    """Counts of many beams sampled from the table."""
    seen: defaultdict[Tree, int] = defaultdict(int)
    builder = Beam(width=width, length=length).build()
    for part in torch.arange(TREES).chunk(10):
        last = torch.zeros_like(part)
        session = table().open(last[:, None][:, :0], capacity=9, room=20)
        drawn = UniformStream(builder, part, last, 1).at(torch.zeros_like(last)).draft
        trees, *_ = builder.propose(DraftSession(session, last, Sampling()), last + length, drawn)
        rows, times = torch.cat([trees.parents, trees.tokens], 1).unique(dim=0, return_counts=True)
        for row, count in zip(rows.tolist(), times.tolist(), strict=True):
            nodes = 1 + width * length
            seen[Tree(row[:nodes], row[nodes:])] += count
    return seen


@pytest.mark.parametrize(("rule", "exact"), [("recursive", True), ("target-only", True), ("multiround", False)])
@pytest.mark.slow
def test_a_million_beams_have_the_targets_distribution_to_sampling_noise(rule: str, exact: bool) -> None:
    """Each tree's distribution is exact; only trees are sampled. 27 rows at 6.3 standard errors: 1e-8 false alarms."""
    logits = {path: table()(torch.tensor([[0, *path]]))[0, -1].detach() for n in range(3) for path in PATHS[n]}
    verifier = rules.rule(rule)
    first, second = torch.zeros(2, 27, dtype=torch.float64)

    for tree, count in beams(2, 2).items():
        paths = [tree.path(node) for node in range(len(tree))]
        q = torch.stack([logits[path].softmax(-1) for path in paths])
        chances = verifier.distribution(tree, torch.stack([against(logits[path]) for path in paths]), q)
        whole = continued(chances, lambda path: against(logits[path]), 3)
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
    """A target for which the draft's likeliest ids are the least likely."""
    return (-logits).softmax(-1)
