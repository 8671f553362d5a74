"""Audits: exact verifiers are exact, known mistakes are named, and the smallest case is reported."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from crt_verify.audit import audit
from crt_verify.audit.audit import TOLERANCE
from crt_verify.audit.blocks import Block
from crt_verify.audit.branches import Branches, Draws
from crt_verify.audit.cases import cases
from crt_verify.audit.draft_free import TargetOnly
from crt_verify.audit.drafts import DraftTree, Rows
from crt_verify.audit.law import Verify, distance
from crt_verify.audit.mistakes import CHAINS, DISTINCT, EQUAL, TARGET_ONLY, _reused, _shared_noise, mistakes
from crt_verify.audit.rules import of_decoder, small
from crt_verify.audit.walk import End, Walk, kept, without
from crt_verify.drafters import Beam, Branching, Chain, Drafter, GreedyTop, Paths
from crt_verify.specs import BlockVerification, GreedyTree, SpeculativeDecoding, TreeDecoding

DRAFTERS: tuple[Drafter, ...] = (
    Chain(length=2),
    Paths(paths=3, length=1),
    Branching(branching=(3, 1)),
)
EXACT: tuple[tuple[Drafter, Verify], ...] = (
    (Chain(length=2), Walk()),
    (Chain(length=3), Block()),
    (Paths(paths=2, length=2), Walk()),
    (Branching(branching=(2, 2)), Walk(left=without)),
    (GreedyTop(branching=(2, 1)), TargetOnly()),
)
WRONG = [
    (drafter, name)
    for drafter in DRAFTERS
    for name in mistakes(drafter)
    if drafter == DRAFTERS[0] or name not in CHAINS
]
"""Every known mistake with one drafter at least."""


def test_every_path_of_draws_is_followed_once() -> None:
    def run(draws: Draws) -> tuple[bool, int]:
        first = draws.accept(0.25)
        return first, draws.choice([3, 0, 1]) if first else -1

    assert dict(Branches(run)) == {(False, -1): 0.75, (True, 0): 0.1875, (True, 2): 0.0625}


@pytest.mark.parametrize("probability", [1, 1.7, 0, -0.2])
def test_what_is_certain_has_one_path(probability: float) -> None:
    assert list(Branches(lambda draws: draws.accept(probability))) == [(probability >= 1, 1.0)]


@pytest.mark.parametrize(("drafter", "verify"), EXACT, ids=lambda each: type(each).__name__)
def test_an_exact_verifier_is_exact(drafter: Drafter, verify: Verify) -> None:
    report = audit(verify, drafter=drafter, trials=20)

    assert report.exact
    assert report.distance <= TOLERANCE
    assert report.case is None
    assert report.diagnosis is None
    assert str(report).startswith("exact: 20 cases, every branch followed")


@pytest.mark.slow
@pytest.mark.parametrize(("drafter", "verify"), EXACT, ids=lambda each: type(each).__name__)
def test_there_is_no_false_alarm_in_hundreds_of_exact_cases(drafter: Drafter, verify: Verify) -> None:
    worst = max(distance(verify, case) for case in cases(drafter, 3, 300, seed=1))

    assert worst <= TOLERANCE


def test_there_are_thirty_known_mistakes() -> None:
    assert len({*CHAINS, *EQUAL, *DISTINCT, *TARGET_ONLY}) >= 30


@pytest.mark.slow
@pytest.mark.parametrize(("drafter", "name"), WRONG, ids=lambda each: str(each)[:40])
def test_a_known_mistake_is_named(drafter: Drafter, name: str) -> None:
    report = audit(mistakes(drafter)[name], drafter=drafter, trials=24)

    assert not report.exact
    assert report.distance > 1e-5
    assert report.diagnosis == name
    assert report.case is not None
    assert name in str(report)


@pytest.mark.parametrize("kind", [SpeculativeDecoding, BlockVerification, GreedyTree])
def test_the_rules_of_this_package_are_exact(kind: type[TreeDecoding]) -> None:
    spec = small(kind)

    assert audit(of_decoder(spec), drafter=spec.drafter, trials=4).exact


# Verifiers written from the documentation alone: the flawed one forgets the residual of the first id's rejection.


def flawed(tree: Any, p: Any, q: Any, rng: Any) -> list[int]:
    ids, node = [], 0
    for child in range(1, len(tree.tokens)):
        x = tree.tokens[child]
        if not rng.accept(p[node][x] / q[node][x]):
            weights = p[node] if node == 0 else [max(a - b, 0) for a, b in zip(p[node], q[node], strict=True)]
            return [*ids, rng.choice(weights)]
        ids.append(x)
        node = child
    return [*ids, rng.choice(p[node])]


def repaired(tree: Any, p: Any, q: Any, rng: Any) -> list[int]:
    p, q = np.asarray(p), np.asarray(q)
    ids: list[int] = []
    for node, x in enumerate(tree.tokens[1:]):
        if not rng.accept(p[node, x] / q[node, x]):
            return [*ids, rng.choice(np.maximum(p[node] - q[node], 0))]
        ids.append(x)
    return [*ids, rng.choice(p[-1])]


def test_an_outside_verifier_is_reported_with_its_smallest_case_and_its_repair_is_exact() -> None:
    report = audit(flawed, trials=20)

    assert not report.exact
    assert report.diagnosis is None  # half of a known mistake is another one
    assert report.case is not None
    assert report.case.case.drafter == Chain(length=1)
    rows = report.case.rows()
    assert report.case.distance == pytest.approx(sum(abs(own - true) for _, own, true in rows) / 2)
    p = report.case.case.p
    assert all(true == pytest.approx(p[()][x] * p[(x,)][y]) for (x, y), _, true in rows)
    assert audit(repaired, trials=20).exact


CERTAIN = "where the draft has one possible id, the last id is drawn with the random number of the accept test"


@pytest.mark.parametrize("drafter", [Chain(length=2), Branching(branching=(3, 1))], ids=repr)
def test_a_mistake_where_the_draft_has_one_possible_id_is_named(drafter: Drafter) -> None:
    wrong = mistakes(drafter)[CERTAIN]
    some = list(cases(drafter, 3, 24, seed=0))
    others = [case for case in some if all(max(row) < 1 for row in case.q.values())]

    report = audit(wrong, drafter=drafter, trials=24)

    assert (report.exact, report.diagnosis) == (False, CERTAIN)
    assert report.distance > 0.05
    assert len(others) == 22
    assert max(distance(wrong, case) for case in others) <= TOLERANCE  # no other case shows it


def test_the_law_of_a_reused_uniform_is_that_of_draws() -> None:
    """400,000 draws, one in ten thousand runs of another seed would fail: within 3.9 standard errors each."""
    p, q = np.array([0.4, 0.35, 0.25]), np.array([1.0, 0.0, 0.0])
    uniforms = np.random.default_rng(0).random(400_000)
    rest = np.maximum(p - q, 0)
    again = uniforms[uniforms >= 0.4]
    shares = np.bincount(np.searchsorted(np.cumsum(rest / rest.sum()), again), minlength=3) / len(again)

    weights = _reused(End(rest, p, q, (0,), (0.4,)))

    expected = weights / weights.sum()
    assert expected == pytest.approx([0, 0.11 / 0.36, 0.25 / 0.36])  # [0.4, 1] is cut at .35 / .6
    error = np.sqrt(expected * (1 - expected) / len(again))
    assert (abs(shares - expected) <= 3.9 * error + 1e-12).all()


@pytest.mark.parametrize("drafter", [Chain(length=2), Branching(branching=(3, 1)), Paths(paths=3, length=2)], ids=repr)
def test_some_rows_of_either_side_have_one_possible_id_at_every_level(drafter: Drafter) -> None:
    made = list(cases(drafter, 3, 48, seed=0))

    for side in ("p", "q"):
        certain = {len(ids) for case in made for ids, row in getattr(case, side).items() if max(row) == 1}
        assert certain == {0, 1, 2}


def test_shared_noise_leaves_no_trace_with_two_ids() -> None:
    name = "the last id is drawn with the same random numbers as the draft"

    assert audit(CHAINS[name], vocabulary=2, trials=20).exact
    assert audit(CHAINS[name], vocabulary=3, trials=20).diagnosis == name


def test_the_law_of_shared_noise_is_that_of_races() -> None:
    """400,000 races, one in ten thousand runs of another seed would fail: within 3.9 standard errors each."""
    q, rest, x = np.array([0.5, 0.2, 0.2, 0.1]), np.array([0.0, 0.5, 0.2, 0.3]), 0
    clocks = np.random.default_rng(0).exponential(size=(400_000, 4))
    lost = clocks[(clocks / q).argmin(1) == x]
    shares = np.bincount((lost[:, 1:] / rest[1:]).argmin(1) + 1, minlength=4) / len(lost)

    weights = _shared_noise(End(rest, q, q, (x,)))

    expected = weights / weights.sum()
    error = np.sqrt(expected * (1 - expected) / len(lost))
    assert (abs(shares - expected) <= 3.9 * error).all()
    assert abs(expected - rest).max() > 0.01  # fresh noise would follow the residual


@pytest.mark.parametrize(
    ("verify", "reason"),
    [
        (lambda tree, p, q, rng: [], "expected 1 to 3 ids below 3, got []"),
        (lambda tree, p, q, rng: [0] * 4, "expected 1 to 3 ids below 3, got [0, 0, 0, 0]"),
        (lambda tree, p, q, rng: [3], "expected 1 to 3 ids below 3, got [3]"),
        (lambda tree, p, q, rng: [rng.choice([0, 0])], "not all 0"),
        (lambda tree, p, q, rng: [rng.choice([1, -1])], "not negative"),
        (lambda tree, p, q, rng: [int(rng.accept(float("nan")))], "expected a probability, got NaN"),
        (lambda tree, p, q, rng: [tree.nothing], "AttributeError"),
    ],
)
def test_a_verifier_that_fails_is_not_exact(verify: Verify, reason: str) -> None:
    report = audit(verify, trials=3)

    assert not report.exact
    assert report.diagnosis is not None
    assert report.diagnosis.startswith("the verifier raises")
    assert reason in report.diagnosis


@pytest.mark.parametrize("values", [{"vocabulary": 1}, {"trials": 0}, {"drafter": Beam(width=2, length=2)}])
def test_what_cannot_be_audited_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        audit(Walk(), **values)


@pytest.mark.parametrize("read", ["walk", "arrays"])
def test_a_tree_that_is_read_in_part_or_whole_has_one_law(read: str) -> None:
    def whole(verify: Verify) -> Verify:
        def after_all(tree: DraftTree, p: Rows, q: Rows, draws: Draws) -> Any:
            assert np.asarray(p).shape == (len(tree), 3)
            assert tree.parents[0] == tree.tokens[0] == -1
            return verify(tree, p, q, draws)

        return after_all

    case = next(iter(cases(Branching(branching=(2, 2)), 3, 1, 0)))
    parts: Callable[[Verify], Verify] = whole if read == "arrays" else lambda verify: verify

    assert distance(parts(Walk(left=without)), case) <= TOLERANCE
    assert distance(parts(Walk(left=kept)), case) == pytest.approx(distance(Walk(left=kept), case), abs=1e-12)


def test_cases_are_distributions_after_every_list_of_ids() -> None:
    for case in cases(Chain(length=2), 3, 20, 5):
        prefixes = [ids for size in range(3) for ids in itertools.product(range(3), repeat=size)]
        assert list(case.p) == list(case.q) == prefixes
        for row in (*case.p.values(), *case.q.values()):
            assert min(row) >= 0
            assert sum(row) == pytest.approx(1)
