"""The verification of one chain: exact law, agreement of outcome and law, break points, faults.

Axes: b cases, L drafted ids, v vocabulary.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from crt_verify import single
from crt_verify.verdict import Verdict, check
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

Law = dict[tuple[int, ...], float]
Rule = Callable[[Tensor, Tensor, Tensor], Law]

P, Q = (0.4, 0.3, 0.2, 0.1), (0.1, 0.2, 0.3, 0.4)
FINE = settings(max_examples=40, deadline=None, derandomize=True, database=None)


def rows(law: tuple[float, ...], count: int) -> Tensor:
    """The same law at every node."""
    return torch.tensor([law] * count, dtype=torch.float64)


def over_chains(p: Tensor, q: Tensor, rule: Rule = single.law) -> Law:
    """The law of what a rule emits, over the chains that q draws where p and q do not depend on what came before."""
    total: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for chain in itertools.product(range(q.shape[-1]), repeat=len(q)):
        weight = math.prod(float(q[node, x]) for node, x in enumerate(chain))
        if weight:
            for emitted, chance in rule(torch.tensor(chain, dtype=torch.int64), p, q).items():
                total[emitted] += weight * chance
    return dict(total)


def distance(emitted: Law, p: Tensor) -> float:
    """Total variation from the target's joint law, once short rows are continued by the target."""
    whole: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for row, chance in emitted.items():
        for rest in itertools.product(range(p.shape[-1]), repeat=len(p) - len(row)):
            whole[row + rest] += chance * math.prod(float(p[len(row) + node, x]) for node, x in enumerate(rest))
    true = itertools.product(range(p.shape[-1]), repeat=len(p))
    return sum(abs(whole[row] - math.prod(float(p[n, x]) for n, x in enumerate(row))) for row in true) / 2


def random_laws(seed: int, *shape: int, zeros: float) -> Tensor:
    """Random laws, some of their entries 0."""
    generator = torch.Generator().manual_seed(seed)
    weights = -torch.rand(shape, generator=generator, dtype=torch.float64).log()
    never = torch.rand(shape, generator=generator) < zeros
    always = torch.randint(shape[-1], (*shape[:-1], 1), generator=generator)
    weights = weights.masked_fill(never.scatter(-1, always, False), 0)
    return weights / weights.sum(-1, keepdim=True)


@FINE
@given(st.integers(0, 2**31), st.integers(0, 3), st.integers(2, 3), st.sampled_from([0.0, 0.4, 1.0]))
def test_its_law_is_the_targets(seed: int, length: int, vocabulary: int, zeros: float) -> None:
    p = random_laws(seed, length + 1, vocabulary, zeros=zeros)
    q = random_laws(seed + 1, length, vocabulary, zeros=zeros)

    assert distance(over_chains(p, q), p) <= 1e-12


def test_acceptance_is_the_overlap() -> None:
    emitted = over_chains(rows(P, 2), rows(Q, 1))

    accepted = sum(chance for row, chance in emitted.items() if len(row) == 2)

    assert accepted == pytest.approx(0.6, abs=1e-14)  # sum of min(p, q)


@pytest.mark.parametrize(("length", "mean"), [(1, 1.7), (2, 2.19)])
def test_mean_emitted_ids_are_a_geometric_sum(length: int, mean: float) -> None:
    p, q = (0.5, 0.3, 0.2), (0.2, 0.3, 0.5)  # overlap 0.7: 1 + 0.7 + 0.7**2

    emitted = over_chains(rows(p, length + 1), rows(q, length))

    assert sum(len(row) * chance for row, chance in emitted.items()) == pytest.approx(mean, abs=1e-14)


def test_a_draft_equal_to_the_target_is_always_accepted() -> None:
    coins = torch.full((4, 3), 2**24 - 1)
    ids = torch.arange(4)[:, None].expand(-1, 3)

    verdict = single.verify(ids, rows(P, 4).expand(4, -1, -1), rows(P, 3).expand(4, -1, -1), coins, coins[:, 0])

    assert verdict.length.tolist() == [3] * 4


def test_a_one_hot_target_is_followed() -> None:
    p = torch.eye(4, dtype=torch.float64)[[1, 2, 3]]

    emitted = over_chains(p, rows(Q, 2))

    assert set(emitted) == {(1,), (1, 2), (1, 2, 3)}


def stale_residual(ids: Tensor, p: Tensor, q: Tensor) -> Law:
    """The rule with the residual of the first node wherever it rejects."""
    emitted = single.law(ids, p, q)
    first = single.leftover(p[0], q[0]) / single.leftover(p[0], q[0]).sum()
    rejected: defaultdict[int, float] = defaultdict(float)
    for row, chance in emitted.items():
        if 1 < len(row) <= len(ids):
            rejected[len(row)] += chance
    kept = {row: chance for row, chance in emitted.items() if len(row) not in rejected}
    chain = tuple(ids.tolist())
    return kept | {(*chain[: n - 1], x): mass * w for n, mass in rejected.items() for x, w in enumerate(first.tolist())}


def no_residual(ids: Tensor, p: Tensor, q: Tensor) -> Law:
    """The rule with p itself in place of the residual."""
    emitted: Law = {}
    chain, reached = tuple(ids.tolist()), 1.0
    for node, x in enumerate(chain):
        accept = min(1.0, float(p[node, x] / q[node, x]))
        emitted |= {(*chain[:node], y): reached * (1 - accept) * w for y, w in enumerate(p[node].tolist())}
        reached *= accept
    return emitted | {(*chain, y): reached * w for y, w in enumerate(p[-1].tolist())}


def test_a_stale_residual_is_caught() -> None:
    p = torch.tensor([P, (0.1, 0.1, 0.1, 0.7), P], dtype=torch.float64)

    assert distance(over_chains(p, rows(Q, 2), stale_residual), p) > 0.01


def test_a_missing_residual_is_caught() -> None:
    assert distance(over_chains(rows(P, 2), rows(Q, 1), no_residual), rows(P, 2)) > 0.01


@pytest.mark.parametrize("scale", [0.7, 1.3])
def test_a_draft_law_with_the_wrong_mass_is_caught(scale: float) -> None:
    def unnormalised(ids: Tensor, p: Tensor, q: Tensor) -> Law:
        return single.law(ids, p, q * scale)

    assert distance(over_chains(rows(P, 2), rows(Q, 1), unnormalised), rows(P, 2)) > 0.01


def test_a_draft_law_at_another_temperature_is_caught() -> None:
    def unprocessed(ids: Tensor, p: Tensor, q: Tensor) -> Law:
        return single.law(ids, p, torch.softmax(q.log() / 2, -1))

    assert distance(over_chains(rows(P, 2), rows(Q, 1), unprocessed), rows(P, 2)) > 0.01


def stratified(accept: Tensor, final: Tensor, ids: Tensor, p: Tensor, q: Tensor) -> Law:
    """What `verify` emits over given coins, as frequencies."""
    count = len(accept)
    verdict = single.verify(ids.expand(count, -1), p.expand(count, -1, -1), q.expand(count, -1, -1), accept, final)
    check(verdict)
    pairs = zip(verdict.length.tolist(), verdict.final.tolist(), strict=True)
    counts = Counter((*ids[:length].tolist(), x) for length, x in pairs)
    return {row: seen / count for row, seen in counts.items()}


def levels(count: int, coins: int) -> Tensor:
    """The midpoints of `count` equal parts of the coins."""
    return (torch.arange(count) * 2 + 1) * coins // (2 * count)


@settings(FINE, max_examples=8)
@given(st.integers(0, 2**31), st.sampled_from([0.0, 0.4]))
def test_outcomes_over_stratified_coins_follow_the_law(seed: int, zeros: float) -> None:
    p, q = random_laws(seed, 3, 3, zeros=zeros), random_laws(seed + 1, 2, 3, zeros=zeros)
    ids = q.argmax(-1)
    grid = torch.cartesian_prod(levels(48, 2**24), levels(48, 2**24), levels(48, 2**32))

    seen = stratified(grid[:, :2], grid[:, 2], ids, p, q)

    told = single.law(ids, p, q)
    assert set(seen) <= set(told)
    assert all(abs(seen.get(row, 0) - chance) <= 3 / 48 for row, chance in told.items())  # 1 / 48 a coin


def test_a_coin_used_twice_is_caught() -> None:
    ids, p, q = torch.tensor([3]), rows(P, 2), rows(Q, 1)
    coins = levels(4096, 2**24)

    twice = stratified(coins[:, None], coins << 8, ids, p, q)

    told = single.law(ids, p, q)
    assert sum(abs(twice.get(row, 0) - chance) for row, chance in told.items()) / 2 > 0.01


def test_an_impossible_id_is_rejected_by_coin_zero() -> None:
    p, q = torch.tensor([[[0.0, 1.0], [0.5, 0.5]]]), torch.tensor([[[0.5, 0.5]]])

    verdict = single.verify(torch.tensor([[0]]), p, q, torch.tensor([[0]]), torch.tensor([0]))

    assert (verdict.length.item(), verdict.final.item()) == (0, 1)


@FINE
@given(st.floats(2.0**-20, 1, width=32), st.floats(2.0**-20, 1, width=32))
def test_the_break_point_of_acceptance_is_exact(target: float, drafted: float) -> None:
    low, high = sorted((target, drafted))
    edge = math.ceil(Fraction(low) * 2**24 / Fraction(high))  # the first coin that is rejected
    coins = torch.tensor([coin for coin in (edge - 1, edge, edge + 1) if 0 <= coin < 2**24])
    p, q = (torch.tensor([[[x, 1 - x]]]).expand(len(coins), 1, 2) for x in (low, high))

    verdict = single.verify(torch.zeros(len(coins), 1).long(), torch.cat([p, p], 1), q, coins[:, None], coins)

    assert verdict.length.tolist() == [int(coin < edge) for coin in coins.tolist()]


def test_an_absent_id_ends_the_chain() -> None:
    ids = torch.tensor([[0, -1, 0], [-1, 0, 0]])
    zeros = torch.zeros(2, 3, dtype=torch.int64)
    p = torch.eye(4, dtype=torch.float64)[[0, 1, 2, 3]].expand(2, -1, -1)
    q = torch.full((2, 3, 4), math.nan, dtype=torch.float64)  # of an absent id: not looked at
    q[0, 0] = torch.tensor(P)

    verdict = single.verify(ids, p, q, zeros, zeros[:, 0])

    check(verdict)
    assert verdict.path.tolist() == [[1, -1, -1], [-1, -1, -1]]
    assert verdict.final.tolist() == [1, 0]


def test_equal_rows_that_still_reject_fall_back_to_the_target() -> None:
    assert single.leftover(torch.tensor(P), torch.tensor(P)).tolist() == torch.tensor(P).double().tolist()


def spoilt(p: Tensor, q: Tensor, ids: Tensor) -> Verdict:
    """The verdict on a sound row and a spoilt one."""
    coins = torch.zeros(2, 1, dtype=torch.int64)
    p, q = torch.stack([rows(P, 2), p]), torch.stack([rows(Q, 1), q])
    return single.verify(torch.stack([torch.tensor([0]), ids]), p, q, coins, coins[:, 0])


@pytest.mark.parametrize(
    ("p", "q", "x", "reason"),
    [
        ((math.nan, 0.5, 0.3, 0.2), Q, 0, "node 0: the target's law has a NaN"),
        ((math.inf, 0.5, 0.3, 0.2), Q, 0, "node 0: the target's law has a NaN"),
        ((-0.4, 0.7, 0.5, 0.2), Q, 0, "node 0: the target's law has a NaN"),
        ((0.4, 0.3, 0.2, 0.102), Q, 0, "node 0: the target's law does not sum to 1"),
        (P, (math.nan, 0.2, 0.3, 0.4), 1, "node 0: the draft's law has a NaN"),
        (P, (0.1, 0.2, 0.3, 0.2), 0, "node 0: the draft's law does not sum to 1"),
        (P, (0.0, 0.3, 0.3, 0.4), 0, "node 0: the draft's law rules the drafted id out"),
        (P, Q, 4, "node 0: the draft's law rules the drafted id out"),
    ],
)
def test_a_faulty_row_emits_nothing_and_is_named(
    p: tuple[float, ...], q: tuple[float, ...], x: int, reason: str
) -> None:
    verdict = spoilt(torch.tensor([p, P], dtype=torch.float64), rows(q, 1), torch.tensor([x]))

    assert verdict.final.tolist()[1] == -1
    assert verdict.fault.tolist()[0] == 0
    with pytest.raises(ValueError, match=f"row 1, {reason}"):
        check(verdict)


def test_the_faulty_node_is_named() -> None:
    p = torch.tensor([P, (math.nan, 0.0, 0.0, 1.0)], dtype=torch.float64)

    with pytest.raises(ValueError, match="row 1, node 1: the target's law"):
        check(spoilt(p, rows(Q, 1), torch.tensor([0])))


def test_rounding_is_no_fault() -> None:
    verdict = spoilt(rows((0.4, 0.3, 0.2, 0.1001), 2), rows((0.1, 0.2, 0.3, 0.3999), 1), torch.tensor([3]))

    assert verdict.fault.tolist() == [0, 0]
