"""Bounds: the paper's values, and the transport programme they solve.

Axes: v vocabulary.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch import Tensor

from crt_verify.bounds import (
    _race_within,
    _without_rare,
    acceptance_bound,
    fixed_bound,
    greedy_bound,
    level_bounds,
    path_bounds,
)
from crt_verify.tree import Tree

from .strategies import Pair, pairs

FINE = settings(max_examples=60, deadline=None, derandomize=True, database=None)
TIGHT = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
PAIRS = {
    "crossed": ((0.4, 0.3, 0.2, 0.1), (0.1, 0.2, 0.3, 0.4)),
    "uniform": ((0.5, 0.25, 0.125, 0.125), (0.25, 0.25, 0.25, 0.25)),
}


def row(values: tuple[float, ...]) -> Tensor:
    """A float64 row."""
    return torch.tensor(values, dtype=torch.float64)


def tuples(q: Tensor, k: int, replacement: bool) -> dict[tuple[int, ...], float]:
    """Ordered draws and their chances, by definition."""
    row, drawn = q.tolist(), {}
    k = k if replacement else min(k, sum(x > 0 for x in row))
    for ids in itertools.product(range(len(row)), repeat=k):
        chance, left = 1.0, set(range(len(row)))
        for x in ids:
            chance *= row[x] / math.fsum(row[y] for y in left) if x in left and row[x] else 0.0
            left -= set() if replacement else {x}
        if chance:
            drawn[ids] = chance
    return drawn


def transport(p: Tensor, drawn: dict[tuple[int, ...], float]) -> float:
    """The optimal transport programme with membership cost: both marginals held, all pairs a variable."""
    sets: defaultdict[frozenset[int], float] = defaultdict(float)
    for ids, chance in drawn.items():
        sets[frozenset(ids)] += chance
    v, n = len(p), len(sets)
    gain = np.array([[float(x in drafted) for x in range(v)] for drafted in sets])
    margins = np.concatenate([np.kron(np.eye(n), np.ones(v)), np.kron(np.ones(n), np.eye(v))])
    solved = linprog(-gain.ravel(), A_eq=margins, b_eq=[*sets.values(), *p.tolist()], method="highs", options=TIGHT)
    assert solved.success
    return float(-solved.fun)


@pytest.mark.parametrize(
    ("pair", "replacement", "values"),
    [
        ("crossed", True, ("0.6", "0.79", "0.871", "0.9439")),
        ("crossed", False, ("0.6", "0.834524", "1", "1")),
        ("uniform", True, ("0.75", "0.9375", "1")),
        ("uniform", False, ("0.75", "1", "1")),
    ],
)
def test_bounds_are_the_published_ones(pair: str, replacement: bool, values: tuple[str, ...]) -> None:
    p, q = map(row, PAIRS[pair])

    for k, printed in enumerate(values, start=1):
        digits = len(printed.partition(".")[2])
        assert round(float(acceptance_bound(p, q, k, replacement)), digits or 12) == float(printed)


@FINE
@given(pairs(st.integers(1, 5)), st.integers(1, 4), st.booleans())
def test_a_bound_is_the_transport_programmes_value(pair: Pair, k: int, replacement: bool) -> None:
    p, q = pair.p(()), pair.q(())

    bound = float(acceptance_bound(p, q, k, replacement))

    assert bound == pytest.approx(
        transport(p, tuples(q, k, replacement)), abs=1e-8
    )  # the solver's is 1e-10 a constraint


@FINE
@given(pairs(st.integers(1, 5)), st.integers(1, 4), st.booleans())
def test_a_bound_is_the_smallest_cut(pair: Pair, k: int, replacement: bool) -> None:
    p, q = pair.p(()), pair.q(())
    drawn = tuples(q, k, replacement)
    v = len(p)
    cuts = [
        1 + float(p[list(cut)].sum()) - math.fsum(chance for ids, chance in drawn.items() if set(ids) <= set(cut))
        for size in range(v + 1)
        for cut in itertools.combinations(range(v), size)
    ]  # over all sets of ids, not only the first ones by p / q

    assert float(acceptance_bound(p, q, k, replacement)) == pytest.approx(min(cuts), abs=1e-13)


@pytest.mark.parametrize("least", [1e-3, 1e-9, 1e-18, 1e-200, 1e-320])
@pytest.mark.parametrize("k", [2, 3])
def test_rare_ids_cost_no_digits(least: float, k: int) -> None:
    q = row((1.0, *[least] * 3))
    p = row((0.0, 0.5, 0.5, 0.0))

    bound = float(acceptance_bound(p, q, k, replacement=False))

    expected = {2: 2 / 3, 3: 1.0}[k]  # id 0 is drawn but for O(least): the k - 1 others miss ids 1 and 2 in {2: 1 / 3}
    assert bound == pytest.approx(expected, abs=8 * least + 1e-13)


@FINE
@given(pairs(st.integers(1, 300)), st.booleans())
def test_more_children_are_never_worse(pair: Pair, replacement: bool) -> None:
    p, q = pair.p(()), pair.q(())

    bounds = [float(acceptance_bound(p, q, k, replacement)) for k in range(1, 7)]

    assert all(more >= less - 1e-13 for less, more in itertools.pairwise(bounds))
    assert 0 <= min(bounds) <= max(bounds) <= 1


@FINE
@given(pairs(st.integers(1, 300)), st.integers(1, 6))
def test_drawing_without_replacement_is_never_worse(pair: Pair, k: int) -> None:
    p, q = pair.p(()), pair.q(())

    assert acceptance_bound(p, q, k, replacement=False) >= acceptance_bound(p, q, k, replacement=True) - 1e-13


@FINE
@given(pairs(st.integers(1, 300)), st.booleans())
def test_one_child_is_bound_by_the_overlap(pair: Pair, replacement: bool) -> None:
    p, q = pair.p(()), pair.q(())

    assert float(acceptance_bound(p, q, 1, replacement)) == pytest.approx(float(torch.minimum(p, q).sum()), abs=1e-13)


@FINE
@given(st.lists(pairs(6), min_size=2, max_size=4), st.integers(1, 4), st.booleans())
def test_a_batch_has_the_bounds_of_its_rows(several: list[Pair], k: int, replacement: bool) -> None:
    p, q = torch.stack([pair.p(()) for pair in several]), torch.stack([pair.q(()) for pair in several])

    together = acceptance_bound(p, q, k, replacement).tolist()

    alone = [float(acceptance_bound(*rows, k, replacement)) for rows in zip(p, q, strict=True)]
    assert together == pytest.approx(alone, abs=1e-13)


@pytest.mark.parametrize("replacement", [False, True])
def test_no_child_is_no_node(replacement: bool) -> None:
    p, q = map(row, PAIRS["crossed"])

    with pytest.raises(ValueError, match="expected at least 1 draft, got 0"):
        acceptance_bound(p, q, 0, replacement)


def test_greedy_and_fixed_children_accept_as_published() -> None:
    p, q = map(row, PAIRS["crossed"])

    greedy = [round(float(greedy_bound(p, q, k)), 6) for k in range(1, 5)]
    fixed = [round(float(fixed_bound(p, q.topk(k).indices)), 6) for k in range(1, 5)]

    assert greedy == [0.6, 0.766667, 0.933333, 1]
    assert fixed == [0.1, 0.3, 0.6, 1]


@FINE
@given(pairs(st.integers(1, 5)), st.integers(1, 4))
def test_the_greedy_bound_is_the_transport_programmes_value(pair: Pair, k: int) -> None:
    p, q = pair.p(()), pair.q(())
    ranked = sorted(range(len(q)), key=lambda x: (-float(q[x]), x))
    top = tuple(x for x in ranked[: k - 1] if q[x] > 0)
    rest = {x: float(q[x]) for x in ranked[k - 1 :] if q[x] > 0}
    drawn = {(*top, x): chance / math.fsum(rest.values()) for x, chance in rest.items()} or {top: 1.0}

    assert float(greedy_bound(p, q, k)) == pytest.approx(transport(p, drawn), abs=1e-8)


@FINE
@given(pairs(5), st.lists(st.integers(-1, 4), min_size=1, max_size=4))
def test_fixed_children_are_bound_by_their_mass(pair: Pair, ids: list[int]) -> None:
    p = pair.p(())

    bound = float(fixed_bound(p, torch.tensor(ids)))

    assert bound == pytest.approx(math.fsum(float(p[x]) for x in set(ids) - {-1}), abs=1e-14)


def chains(q: Tensor, length: int) -> list[tuple[Tree, float]]:
    """Every chain that a context-free q draws."""
    words = itertools.product(range(len(q)), repeat=length)
    return [(Tree(range(-1, length), (-1, *word)), math.prod(float(q[x]) for x in word)) for word in words]


def test_the_level_bound_of_two_binary_ids_is_twelve_ninths() -> None:
    p, q = row((1 / 3, 2 / 3)), row((2 / 3, 1 / 3))

    levels = path_bounds(lambda _: p, lambda _: q, length=2, k=1)

    assert sum(levels) == pytest.approx(12 / 9, abs=1e-14)
    assert level_bounds(chains(q, 2), lambda _: p) == pytest.approx(levels, abs=1e-8)


@settings(FINE, max_examples=15)
@given(pairs(st.integers(2, 3)))
def test_the_flow_of_two_paths_is_the_bound_of_two_words(pair: Pair) -> None:
    words = list(itertools.product(range(pair.vocabulary), repeat=2))
    drafts = [
        (Tree((-1, 0, 1, 0, 3), (-1, *a, *b)), math.prod(float(pair.q(())[x] * pair.q((x,))[y]) for x, y in (a, b)))
        for a, b in itertools.product(words, repeat=2)
    ]

    levels = path_bounds(pair.p, pair.q, length=2, k=2)

    assert level_bounds(drafts, pair.p) == pytest.approx(levels, abs=1e-8)


def test_trees_that_miss_some_mass_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected trees whose chances sum to 1, got 0\.5"):
        level_bounds([(Tree((-1, 0), (-1, 0)), 0.5)], lambda _: row((0.5, 0.5)))


@given(st.integers(0, 2**32), st.integers(3, 6), st.sampled_from([1.0, 10.0, 40.0]))
@FINE
def test_rare_ids_change_no_bound(seed: int, k: int, sharpness: float) -> None:
    """Beside the bound of the whole row, whose ids are all raced: probabilities span up to 100 powers of ten."""
    p, q = torch.randn(2, 4, 60, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * sharpness
    p, q = p.softmax(-1), q.softmax(-1)
    order = (p / q).argsort(-1)
    ahead, drawn = p.gather(-1, order), q.gather(-1, order)
    outside = torch.nn.functional.pad(drawn.flip(-1).cumsum(-1).flip(-1)[..., 1:], (0, 1))
    within = torch.where(outside > 0, _race_within(drawn, outside, k), 1.0)

    bound = acceptance_bound(p, q, k, replacement=False)

    assert bound.tolist() == pytest.approx((1 + (ahead.cumsum(-1) - within).amin(-1).clamp(-1, 0)).tolist(), abs=1e-13)


def test_a_sharp_row_of_many_ids_keeps_a_few() -> None:
    """Of probabilities that halve, those behind the k-th by the inverse of the chance times k are left out."""
    row = 0.5 ** torch.arange(1, 201, dtype=torch.float64)

    kept = int((_without_rare(row, 4) > 0).sum())

    assert kept == 4 + math.ceil(math.log2(4e16))
