"""Arrival times that draft and target share: independent for each child, and never other than the output's."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from torch import Tensor

from crt_verify.coupling import race as module
from crt_verify.coupling.race import FIRST, Race, exponentials, first, sibling_times
from crt_verify.coupling.race_builder import earliest

P = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
Q = P.flip(0)
LISTS = {1: 0.543, 2: 0.685, 3: 0.764, 4: 0.817}
"""Chance that one of k lists has the output, for these rows: arXiv:2506.05632."""
ROWS = 200_000
WIDE = 5 * 0.5 / math.sqrt(ROWS)
"""Five standard errors of a frequency at most: a false alarm in 1.7 million."""


def integers(count: int, vocabulary: int = 4, rows: int = ROWS) -> Tensor:
    race, position = Race(torch.arange(rows), vocabulary), torch.zeros(rows, 1, dtype=torch.int64)
    return torch.cat([race.integers(position, vector) for vector in range(FIRST + count)], 1)


def lists(count: int) -> float:
    """How often a child by its own times is the output."""
    drawn = integers(count)
    children, output = first(sibling_times(drawn), Q), first(exponentials(drawn[:, 0]), P)
    return float((children == output[:, None]).any(-1).double().mean())


def early(p: list[float], q: list[float], count: int) -> float:
    """The chance that the first to arrive at rates p is one of the first `count` at rates q, with the same E.

    Given E_y = t p_y for the first y, each other E_x exceeds t p_x, and x comes before y at rates q if E_x is below
    t q_x p_y / q_y. These are independent, and integrals over t of products of exponentials are fractions.
    """
    total = 0.0
    for y, (p_y, q_y) in enumerate(zip(p, q, strict=True)):
        others = [(p[x] / p_y, q[x] / q_y) for x in range(len(p)) if x != y]
        for size in range(count):
            for ahead in combinations(range(len(others)), size):
                terms = {1.0: 1.0}  # rate: factor
                for place, (a, b) in enumerate(others):
                    factors = [(a, 1.0), (b, -1.0)] if place in ahead else [(max(a, b), 1.0)]
                    factors = [] if place in ahead and b <= a else factors
                    grown: dict[float, float] = {}
                    for rate, factor in terms.items():
                        for own, sign in factors:
                            grown[rate + own] = grown.get(rate + own, 0.0) + sign * factor
                    terms = grown
                total += sum(factor / rate for rate, factor in terms.items())
    return total


@pytest.mark.parametrize("count", LISTS)
def test_lists_have_the_output_as_often_as_published(count: int) -> None:
    assert lists(count) == pytest.approx(LISTS[count], abs=WIDE + 5e-4)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_lists_by_other_times_than_the_outputs_have_it_less_often(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # No child has the output's time at any id.
    monkeypatch.setattr(module, "sibling_times", lambda drawn: exponentials(drawn[..., FIRST:, :]))

    drawn = integers(count)
    children = first(module.sibling_times(drawn), Q)
    output = first(exponentials(drawn[:, 0]), P)

    assert (children == output[:, None]).any(-1).double().mean() < LISTS[count] - 10 * WIDE


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_the_earliest_have_the_output_as_often_as_the_integral(count: int) -> None:
    times = exponentials(integers(0)[:, :1])

    children, output = earliest(times, Q.expand(ROWS, 1, 4), count)[:, 0], first(times, P)

    due = early(P.tolist(), Q.tolist(), count)
    assert float((children == output).any(-1).double().mean()) == pytest.approx(due, abs=WIDE)
    assert due >= LISTS[count] - 5e-4  # at least as often as lists
    assert count < 4 or due == pytest.approx(1, abs=1e-12)  # all ids


def test_the_earliest_have_the_output_at_least_as_often_as_lists() -> None:
    source, rows = np.random.default_rng(0), 20_000
    for vocabulary, count in ((3, 2), (8, 2), (8, 3)):
        drawn = integers(count, vocabulary, rows)
        for concentration in (0.1, 1.0, 5.0):
            p, q = map(torch.from_numpy, source.dirichlet(np.full(vocabulary, concentration), 2))
            times, output = exponentials(drawn[:, :1]), first(exponentials(drawn[:, 0]), p)
            early, late = (
                float((children == output[:, None]).any(-1).double().mean())
                for children in (earliest(times, q.expand(rows, 1, -1), count)[:, 0], first(sibling_times(drawn), q))
            )

            assert early > late - 5 * 0.5 / math.sqrt(rows)


def test_children_by_their_own_times_are_independent_draws() -> None:
    children = first(sibling_times(integers(2)), Q)

    seen = torch.bincount(4 * children[:, 0] + children[:, 1], minlength=16)
    due = ROWS * torch.outer(Q, Q).flatten()
    score = 2 * float((seen * (seen / due).log()).sum())
    assert chi2.sf(score, 15) > 1e-6  # the false-alarm rate


@pytest.mark.parametrize("count", [2, 3, 5])
def test_the_least_of_the_childrens_times_is_the_outputs(count: int) -> None:
    drawn = integers(count, rows=1000)

    least = sibling_times(drawn).amin(1)

    torch.testing.assert_close(least * count, exponentials(drawn[:, 0]), rtol=1e-12, atol=0)


def test_integers_do_not_depend_on_neighbours() -> None:
    seeds, positions = torch.tensor([3, 2**61, 5]), torch.tensor([[0, 9], [4, 4], [2**30, 1]])

    together = Race(seeds, 5).integers(positions, 1)

    assert torch.equal(together[1, 0], together[1, 1])
    for row in range(3):
        for place in range(2):
            alone = Race(seeds[row : row + 1], 5).integers(positions[row : row + 1, place : place + 1], 1)
            assert torch.equal(alone[0, 0], together[row, place])


def draft_or_residual(p: Tensor, q: Tensor, drawn: Tensor, coin: Tensor) -> Tensor:
    """A draft by times E, and in place of a rejected one the residual's first by the same times."""
    times = exponentials(drawn)
    x = first(times, q)
    kept = coin * q[x] < p[x]
    return torch.where(kept, x, first(times, (p - q).clamp(min=0)))


@pytest.mark.parametrize(("vocabulary", "shows"), [(2, False), (3, True)])
def test_a_residual_drawn_by_the_drafts_own_times_is_wrong_from_three_ids_on(vocabulary: int, shows: bool) -> None:
    p = torch.tensor([0.1, 0.9] if vocabulary == 2 else [0.1, 0.45, 0.45], dtype=torch.float64)
    q = torch.tensor([0.6, 0.4] if vocabulary == 2 else [0.6, 0.1, 0.3], dtype=torch.float64)
    drawn = integers(0, vocabulary)[:, 0]
    coin = torch.rand(ROWS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def score(ids: Tensor) -> float:
        seen, due = torch.bincount(ids, minlength=vocabulary), ROWS * p
        return float(chi2.sf(2 * float((seen * (seen / due).log()).sum()), vocabulary - 1))

    assert score(first(exponentials(drawn), p)) > 1e-6
    assert (score(draft_or_residual(p, q, drawn, coin)) < 1e-6) == shows
