"""The sampled depth: cells, false alarms, power, and known mistakes. All generators have fixed seeds."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, chi2, ncx2

from crt_verify.audit.audit import tried
from crt_verify.audit.cases import cases
from crt_verify.audit.law import Case, Verify
from crt_verify.audit.mistakes import CHAINS
from crt_verify.audit.sampled import audit_samples, compare_samples
from crt_verify.audit.sampled.cells import Ids, Row, cells, pooled_cells
from crt_verify.audit.sampled.gtest import null_samples, one_sample_p, statistic, two_sample
from crt_verify.audit.sampled.power import needed, noncentrality, power
from crt_verify.audit.walk import Walk
from crt_verify.drafters import Chain

ONCE = 1e-6
"""The chance that a count of this file falls outside of its bounds."""
LAW = {(): (0.5, 0.3, 0.2), (0,): (0.6, 0.4, 0.0), (1,): (0.1, 0.2, 0.7), (2,): (1.0, 0.0, 0.0)}
"""A law of two ids of three."""
ROWS = list(itertools.product(range(3), repeat=2))
CHANCES = np.array([LAW[()][x] * LAW[(x,)][y] for x, y in ROWS])


def box(rows: list[Ids], chances: Any, seed: Any) -> Callable[[int], Iterable[Ids]]:
    """Draws rows of ids with these chances."""
    generator = np.random.default_rng(seed)
    return lambda count: [rows[place] for place in generator.choice(len(rows), size=count, p=chances)]


def within(count: int, tries: int, rate: float) -> bool:
    """Whether a count is one that a binomial gives, but for one in a million."""
    return bool(binom.ppf(ONCE / 2, tries, rate) <= count <= binom.isf(ONCE / 2, tries, rate))


# Cells


def test_rare_rows_share_the_cell_of_their_prefix() -> None:
    """With 100 samples a cell needs 0.05, and 0.2 for a prefix behind which there are cells."""
    law: dict[Ids, Row] = {
        (): (0.5, 0.3, 0.17, 0.03),
        (0,): (0.8, 0.18, 0.02, 0.0),
        (1,): (0.25, 0.25, 0.25, 0.25),
    }

    parts = cells(law.__getitem__, 2, 100)

    # 0.3 * 0.25 = 0.075 each; 2 has 17 expected, too few to look behind; what is rare is 0.5 * 0.02 + 0.03 = 0.04,
    # too little for a cell, and is added to the smallest
    expected = {(0, 0): 0.4, (0, 1): 0.09, (1, 0): 0.075, (1, 1): 0.075, (1, 2): 0.075, (1, 3): 0.075, (2,): 0.17}
    smallest = parts.rest
    assert parts.probabilities == pytest.approx({**expected, smallest: expected[smallest] + 0.04})
    assert expected[smallest] == 0.075
    assert parts.pooled == pytest.approx(0.17 + 0.04)
    assert parts.counts([(0, 1), (2, 3), (3, 3), (0, 2), (0, 3)]) == (
        dict.fromkeys(expected, 0) | {(0, 1): 1, (2,): 1, smallest: 2},
        1,
    )


def test_what_a_row_does_not_name_is_counted_together() -> None:
    law: dict[Ids, Row] = {(): {"a": 0.5, "b": 0.2}, ("a",): {"a": 0.5, "b": 0.3}, ("b",): None}

    parts = cells(law.__getitem__, 2, 1000)

    assert parts.probabilities == pytest.approx({("a", "a"): 0.25, ("a", "b"): 0.15, ("a",): 0.1, ("b",): 0.2, (): 0.3})
    assert parts.pooled == pytest.approx(0.6)
    assert [parts.of(ids) for ids in (("a", "?"), ("b", "a"), ("?", "a"), ("a", "a"))] == [
        ("a",),
        ("b",),
        (),
        ("a", "a"),
    ]


def test_a_rare_row_is_counted_behind_the_longest_prefix_that_has_a_cell() -> None:
    """What is left behind (0, 0) is too rare for a cell, and is counted with what is left behind (0,)."""
    law: dict[Ids, Row] = {(): (0.5, 0.5), (0,): {0: 0.5}, (0, 0): {0: 0.99}, (1,): None}

    parts = cells(law.__getitem__, 3, 1000)

    assert parts.probabilities == pytest.approx({(0, 0, 0): 0.2475, (0,): 0.2525, (1,): 0.5})
    assert parts.of((0, 0, 1)) == parts.of((0, 1, 0)) == (0,)


@pytest.mark.parametrize("row", [(0.5, 0.4), (0.6, 0.6), (1.2, -0.2), {"a": 1.2}, {"a": -0.1}, (float("nan"), 1.0)])
def test_a_row_that_is_no_distribution_is_refused(row: Row) -> None:
    with pytest.raises(ValueError, match="expected probabilities after"):
        cells(lambda prefix: row, 1, 1000)


def test_two_samples_are_pooled_by_their_sum_alone() -> None:
    first, second = {(0,): 9, (1,): 6, (2,): 0}, {(0,): 0, (1,): 4, (3,): 30}

    assert pooled_cells(first, second) == [(1,), (3,)]
    assert sorted(pooled_cells(second, first)) == [(1,), (3,)]


# The test


def test_g_is_twice_the_samples_times_the_divergence() -> None:
    counts, chances = np.array([30, 50, 20]), np.array([0.25, 0.5, 0.25])

    assert statistic(counts, 100 * chances) == pytest.approx(2 * (30 * np.log(1.2) + 20 * np.log(0.8)))
    # both samples against their mean (25, 50, 25)
    assert two_sample(np.array([30, 50, 20]), np.array([50, 100, 50])) == pytest.approx(
        2 * (30 * np.log(1.2) + 20 * np.log(0.8) + 20 * np.log(0.8) + 30 * np.log(1.2))
    )


def test_the_p_value_is_near_that_of_the_chi_square_where_cells_are_large() -> None:
    """999,999 null samples: the share of those that are as far off has a standard error of 1e-4 at 0.01."""
    chances, generator = np.full(5, 0.2), np.random.default_rng(3)
    counts = np.array([2140, 1930, 1930, 1990, 2010])

    p, _ = one_sample_p(counts, chances, 1e-5, generator)

    assert null_samples(1e-5) == 999_999
    assert p == pytest.approx(chi2.sf(statistic(counts, 2000 * np.ones(5)), 4), rel=0.03)


# False alarms


def alarms(level: float, audits: int, samples: int, *, two: bool) -> int:
    """How many audits of exact samples report a difference; the 6 cells have from 0.03 to 0.3 of them."""
    count = 0
    for run in range(audits):
        draw = box(ROWS, CHANCES, [audits, run])
        report = (
            compare_samples(draw, box(ROWS, CHANCES, [audits, run, 1]), samples=samples, level=level, seed=run)
            if two
            else audit_samples(draw, LAW, length=2, samples=samples, level=level, seed=run)
        )
        count += report.exact is False
    return count


@pytest.mark.parametrize("two", [False, True])
def test_false_alarms_are_as_frequent_as_stated(two: bool) -> None:
    """400 audits of 200 exact samples at a rate of 0.05; ties between tables of two boxes make it at most that."""
    assert within(alarms(0.05, 400, 200, two=two), 400, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("two", [False, True])
def test_false_alarms_are_as_rare_as_the_preset_rate(two: bool) -> None:
    """1,000 audits of 2,000 exact samples at 0.001."""
    assert alarms(1e-3, 1000, 2000, two=two) <= binom.isf(ONCE, 1000, 1e-3)


# Power


def biased(chances: Any, bias: float) -> Any:
    """The hardest bias: half of the probability grows in proportion, the other shrinks."""
    half = np.arange(len(chances)) < len(chances) // 2
    return chances * np.where(half, 1 + bias / chances[half].sum(), 1 - bias / chances[~half].sum())


def test_the_hardest_bias_has_the_least_noncentrality() -> None:
    chances = np.full(8, 1 / 8)
    generator = np.random.default_rng(0)
    least = noncentrality(0.01, 1 / 8)

    assert least == pytest.approx(((biased(chances, 0.01) - chances) ** 2 / chances).sum())
    for _ in range(200):  # any other bias of this size
        change = generator.normal(size=8)
        change -= change.mean()
        change *= 0.02 / abs(change).sum()
        assert (change**2 / chances).sum() >= least


def test_the_samples_needed_give_the_power_that_is_promised() -> None:
    size = needed(0.01, cells=9, largest=0.3, level=1e-3)

    assert size == pytest.approx(ncx2_size(9, 1e-3), rel=1e-3)
    assert power(0.01, size, cells=9, largest=0.3, level=1e-3) == pytest.approx(0.9, abs=1e-3)
    assert power(0.01, 0, cells=9, largest=0.3, level=1e-3) == pytest.approx(1e-3)  # no sample: false alarms alone


def ncx2_size(count: int, level: float) -> float:
    """The samples needed, by bisection."""
    low, high = 0.0, 1e9
    for _ in range(80):
        size = (low + high) / 2
        seen = ncx2.sf(chi2.isf(level, count - 1), count - 1, 4 * 0.01**2 * size)
        low, high = (size, high) if seen < 0.9 else (low, size)
    return low


@pytest.mark.slow
@pytest.mark.parametrize("size", [40_000, 79_564])
def test_a_planted_bias_of_a_hundredth_is_seen_as_often_as_stated(size: int) -> None:
    """300 audits of the hardest bias, a total variation of 0.01 in 8 cells, at a rate of false alarms of 0.001."""
    chances = np.full(8, 1 / 8)
    generator = np.random.default_rng(size)
    stated = power(0.01, size, cells=8, largest=1 / 8, level=1e-3)

    seen = sum(
        one_sample_p(generator.multinomial(size, biased(chances, 0.01)), chances, 1e-3, generator)[0] <= 1e-3
        for _ in range(300)
    )

    assert 0.3 < stated < 0.95
    assert within(seen, 300, stated)


def test_a_planted_bias_is_reported_with_its_cells() -> None:
    """100,000 samples with a bias of 0.02: stated power above 0.999999."""
    moved = CHANCES.copy()
    moved[[0, 1]] += (-0.02, 0.02)

    report = audit_samples(box(ROWS, moved, 4), LAW, length=2, samples=100_000, bias=0.02)

    assert report.power > 1 - ONCE
    assert report.exact is False
    assert report.distance == pytest.approx(0.02, abs=0.01)
    assert {cell.ids for cell in sorted(report.cells, key=lambda each: -abs(each.share - each.target))[:2]} == {
        (0, 0), (0, 1)
    }  # fmt: skip
    assert str(report).startswith("not exact: 100,000 samples in ")


def test_a_planted_bias_between_two_boxes_is_reported() -> None:
    """100,000 samples each with a bias of 0.02: stated power above 0.999999."""
    moved = CHANCES.copy()
    moved[[0, 1]] += (-0.02, 0.02)

    report = compare_samples(box(ROWS, moved, 5), box(ROWS, CHANCES, 6), samples=100_000, bias=0.02)

    assert report.power > 1 - 1e-4
    assert report.exact is False
    assert abs(report.needed - 2 * needed(0.02, cells=len(report.cells), largest=0.3, level=1e-3)) <= 1


# Known mistakes


def widest(verify: Verify) -> tuple[Case, Any, float]:
    """Of 24 random targets and drafts the one in which a verifier errs most, its law, and by how much."""
    failures = [tried(verify, case) for case in cases(Chain(length=2), 3, 24, seed=0)]
    worst = max(failures, key=lambda failure: failure.distance)
    return worst.case, np.array(worst.emitted), worst.distance


def drawn(case: Case, law: Any, samples: int) -> Any:
    """The report of samples of a law, against the target of a case."""
    rows = list(itertools.product(range(case.vocabulary), repeat=case.length))
    law = np.maximum(law, 0)
    return audit_samples(box(rows, law / law.sum(), 1), case.p, length=case.length, samples=samples)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CHAINS if "bfloat16" not in name], ids=lambda name: name[:40])
def test_a_known_mistake_is_seen_in_samples(name: str) -> None:
    """Most err by 0.05 or more, so that 20,000 samples see them but for one in a million; all by 0.013 or more."""
    case, law, distance = widest(CHAINS[name])
    bias, samples = (0.05, 20_000) if distance > 0.05 else (0.013, 300_000)

    report = drawn(case, law, samples)

    assert distance > bias
    assert power(bias, samples, cells=27, largest=0.5, level=1e-3) > 1 - ONCE
    assert report.exact is False


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CHAINS if "bfloat16" in name], ids=lambda name: name[:40])
def test_rounding_to_bfloat16_needs_millions_of_samples(name: str) -> None:
    _, _, distance = widest(CHAINS[name])

    assert distance < 0.002
    assert needed(0.002, cells=27, largest=0.5, level=1e-3) > 2_000_000


def test_an_exact_verifier_shows_no_difference() -> None:
    """100,000 samples; one in a thousand seeds would fail, and this one is fixed."""
    case, law, distance = widest(Walk())

    report = drawn(case, law, 100_000)

    assert distance < 1e-12
    assert report.exact is None


# Reports


def test_samples_never_prove_that_a_box_is_exact() -> None:
    report = audit_samples(box(ROWS, CHANCES, 0), LAW, length=2, samples=5000)

    assert report.exact is None
    assert report.as_json()["exact"] is None
    text = str(report)
    assert text.startswith("no difference seen: 5,000 samples in 6 cells, p ")
    assert "in at most 0.001 of audits" in text
    assert f"probability {report.power:.3g} or more; {report.needed:,} samples make it 0.9" in text
    assert report.power < 0.1  # 5,000 samples are few for a bias of 0.01
    assert report.distance < 5 * report.usual
    assert sum(cell.count for cell in report.cells) == 5000


def test_one_impossible_row_of_ids_is_enough() -> None:
    rows = [*ROWS, (2, 1)]

    report = audit_samples(box(rows, [*CHANCES * 0.9995, 0.0005], 0), LAW, length=2, samples=5000)

    assert report.exact is False
    assert report.p == 0
    assert 0 < report.impossible < 12
    assert f"{report.impossible} of them are impossible under the target" in str(report)


def test_a_function_and_a_dictionary_are_one_target() -> None:
    of_dictionary, of_function = (
        audit_samples(box(ROWS, CHANCES, 0), target, length=2, samples=1000) for target in (LAW, LAW.__getitem__)
    )

    assert of_dictionary.as_json() == of_function.as_json()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"samples": 99}, "expected 100 samples or more"),
        ({"level": 0.5}, "a level from 1e-6 to 0.1"),
        ({"bias": 0.0}, "a bias between 0 and 0.5"),
        ({"length": 0}, "expected rows of one id or more, got 0"),
        ({"length": 3}, r"expected 3 ids, got \[0, 0\]"),
        ({"draw": lambda count: []}, "expected 1000 rows of ids, got 0"),
        ({"target": lambda prefix: (1.0,)}, "two cells or more"),
        ({"target": lambda prefix: (0.5, 0.6)}, r"expected probabilities after \[\] that sum to 1"),
    ],
)
def test_what_cannot_be_tested_is_refused(values: dict[str, Any], reason: str) -> None:
    given: dict[str, Any] = {"draw": lambda count: [(0, 0)] * count, "target": LAW, "length": 2, "samples": 1000}

    with pytest.raises(ValueError, match=reason):
        audit_samples(**{**given, **values})


def test_two_boxes_with_one_row_of_ids_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="there is nothing to compare"):
        compare_samples(lambda count: [(0,)] * count, lambda count: [(0,)] * count)
