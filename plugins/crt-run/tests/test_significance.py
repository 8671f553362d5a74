"""Probabilities of differences, and their correction."""

from __future__ import annotations

import math

import pytest

from crt_run.significance import holm, mcnemar, paired_p, ratio_p
from crtcore.kinds import Measurement


def test_a_probability_is_5_percent_where_the_interval_touches_0() -> None:
    gaps = {0: 4.302653 / 3**0.5 - 1, 1: 4.302653 / 3**0.5, 2: 4.302653 / 3**0.5 + 1}  # of deviation 1

    assert paired_p(gaps, dict.fromkeys(range(3), 0.0)) == pytest.approx(0.05, rel=1e-5)


def test_a_ratio_s_probability_is_that_of_its_interval() -> None:
    """Logarithms of deviation 1 over 3 samples; 4.302653 is Student's quantile of 95 % for 2 degrees of freedom."""
    half = 4.302653 / 3**0.5

    touching = Measurement(math.exp(half), "times", 3, 1.0, math.exp(2 * half))
    apart = Measurement(math.exp(3 * half), "times", 3, math.exp(2 * half), math.exp(4 * half))

    assert ratio_p(touching, 0.95) == pytest.approx(0.05, rel=1e-5)
    assert ratio_p(apart, 0.95) == pytest.approx(0.00593, rel=1e-2)  # t of 12.9
    assert ratio_p(Measurement(2.0, "times", 3, 2.0, 2.0), 0.95) == 0
    with pytest.raises(ValueError, match="expected a ratio with an interval"):
        ratio_p(Measurement(2.0, "times", 1), 0.95)


def test_equal_differences_leave_no_doubt() -> None:
    assert paired_p({0: 1.0, 1: 2.0}, {0: 0.0, 1: 1.0}) == 0
    assert paired_p({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}) == 1


def test_what_rounding_alone_makes_is_no_difference() -> None:
    summed = sum([0.1, 0.2])
    assert summed != 0.3

    assert paired_p({0: summed, 1: summed}, {0: 0.3, 1: 0.3}) == 1
    assert paired_p({0: summed, 1: 0.3}, {0: 0.3, 1: 0.3}) == 1
    assert paired_p({0: summed + 1, 1: 0.3 + 1}, {0: 0.3, 1: 0.3}) == 0  # both are 1 higher, but for rounding


@pytest.mark.parametrize("others", [{}, {0: 1.0}, {2: 1.0, 3: 1.0}])
def test_one_pair_has_no_probability(others: dict[int, float]) -> None:
    assert paired_p({0: 1.0, 1: 2.0}, others) is None


def test_only_samples_that_differ_count() -> None:
    """Five of five discordant pairs on one side: 2 / 2^5."""
    mine, theirs = [1] * 5 + [1, 0, 0], [0] * 5 + [1, 0, 0]

    assert mcnemar({0: mine}, {0: theirs}) == pytest.approx((5, 0, 1 / 16))
    assert mcnemar({0: theirs}, {0: mine}) == pytest.approx((0, 5, 1 / 16))
    assert mcnemar({0: mine[:3], 1: mine[3:]}, {0: theirs[:3], 1: theirs[3:]}) == pytest.approx((5, 0, 1 / 16))


def test_arms_that_agree_everywhere_do_not_differ() -> None:
    assert mcnemar({0: [1, 0]}, {0: [1, 0]}) == (0, 0, 1.0)


@pytest.mark.parametrize("others", [{}, {1: [1, 0]}, {0: [1]}, {0: [1, 0.5]}])
def test_there_is_no_test_without_pairs_of_right_and_wrong(others: dict[int, list[float]]) -> None:
    assert mcnemar({0: [1, 0]}, others) is None


def test_the_smallest_probability_is_multiplied_by_the_number_of_all() -> None:
    """Holm (1979): multiplied by 4, 3, 2 and 1 in their order, and never less than those before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_no_corrected_probability_is_above_1() -> None:
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
