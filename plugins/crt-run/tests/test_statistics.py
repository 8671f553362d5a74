"""Statistics: means, ratios and bootstraps with their intervals."""

from __future__ import annotations

import math

import pytest
import torch

from crt_run.statistics import averaged, double_ratio, ratio, resampled, squared_distance, two_level


def test_a_mean_over_samples_has_the_interval_of_student() -> None:
    result = averaged(torch.tensor([1.0, 2.0, 3.0]).double(), "nats")

    assert (result.value, result.unit, result.n) == (2, "nats", 3)
    assert result.high == pytest.approx(2 + 4.302653 / 3**0.5)  # the 97.5 % point for two degrees of freedom
    assert result.low == pytest.approx(2 - 4.302653 / 3**0.5)


def test_one_sample_has_no_interval() -> None:
    result = averaged(torch.tensor([2.0]), "nats")

    assert (result.value, result.low, result.high) == (2, None, None)


def test_where_seeds_agree_the_two_level_interval_is_that_of_the_samples() -> None:
    """The deviation of a bootstrap of 2,000 draws is right to 1.6 %, its quantiles' distance to 8 % but once in 1e4."""
    mine = torch.randn(1000, generator=torch.Generator().manual_seed(0)).double()
    result = two_level(dict.fromkeys(range(3), mine.tolist()), dict.fromkeys(range(3), [0.0] * 1000), "nats")

    assert result is not None
    assert (result.value, result.unit, result.n) == (pytest.approx(float(mine.mean())), "nats", 1000)
    assert result.low is not None
    assert result.high is not None
    assert result.high - result.low == pytest.approx(2 * 1.96 * float(mine.std()) / 1000**0.5, rel=0.08)
    assert result.low < float(mine.mean()) < result.high


def test_seeds_that_differ_widen_the_two_level_interval() -> None:
    """All draws of three seeds are of the first alone once in 27 times: more than a fortieth."""
    result = two_level({0: [0.0] * 9, 1: [1.0] * 9, 2: [2.0] * 9}, {seed: [0.0] * 9 for seed in range(4)}, "nats")

    assert result is not None
    assert (result.low, result.high) == (0.0, 2.0)


def test_differences_are_paired_sample_by_sample() -> None:
    values = [float(value) for value in range(50)]
    others = dict.fromkeys(range(2), values)
    result = two_level({seed: [value + 1 for value in values] for seed in range(2)}, others, "nats")

    assert result is not None
    assert (result.low, result.high) == pytest.approx((1, 1))


@pytest.mark.parametrize("others", [{}, {0: [1.0, 2.0]}, {0: [1.0, 2.0], 1: [1.0]}])
def test_there_is_no_two_level_interval_without_pairs(others: dict[int, list[float]]) -> None:
    assert two_level({0: [1.0, 2.0], 1: [1.0, 2.0]}, others, "nats") is None


def test_a_bootstrap_interval_is_the_middle_of_the_draws() -> None:
    measurement = resampled(600.0, [float(value) for value in range(1001)], "bits", n=7)

    assert measurement == (600.0, "bits", 7, 25.0, 975.0)


def test_a_number_that_many_draws_lack_has_no_interval() -> None:
    assert resampled(1.0, [1.0] * 95 + [None] * 5, "times", n=7) == (1.0, "times", 7, 1.0, 1.0)
    assert resampled(1.0, [1.0] * 94 + [None] * 6, "times", n=7) == (1.0, "times", 7, None, None)


@pytest.mark.parametrize(("value", "expected"), [(0.25, 0.25), (0.0, 0.0), (-1e-12, 0.0), (-3.9e-6, 0.0)])
def test_a_squared_distance_that_rounds_below_zero_is_zero(value: float, expected: float) -> None:
    assert squared_distance(value, 4.0) == expected


def test_a_squared_distance_further_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a squared distance of at least 0, got -4\.1e-06"):
        squared_distance(-4.1e-6, 4.0)


def test_a_double_ratio_has_no_width_where_all_samples_agree() -> None:
    assert double_ratio(([2, 4], [1, 1]), ([1, 2], [1, 1]), "times") == (2, "times", 2, 2, 2)


def test_ratios_of_one_sample_have_no_interval() -> None:
    assert ratio([3], [2], "times") == (1.5, "times", 1, None, None)
    assert double_ratio(([3], [2]), ([1], [2]), "times") == (pytest.approx(3.0), "times", 1, None, None)


def test_a_ratio_to_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a sum other than 0 to divide by, got 0.0 of 2 values"):
        ratio([3, 1], [0, 0], "times")
    with pytest.raises(ValueError, match=r"expected sums above 0, got 0.0 and 2.0"):
        double_ratio(([0, 0], [1, 1]), ([1, 1], [1, 1]), "times")


def test_two_samples_have_finite_ends_at_any_level() -> None:
    number = double_ratio(([1, 90], [1, 1]), ([60, 1], [1, 1]), "times", 1 - 1e-6)

    assert 0 < number.low < number.value < number.high < math.inf


def test_a_double_ratio_has_the_interval_of_its_linearised_logarithm() -> None:
    result = double_ratio(([1, 3], [1, 1]), ([1, 1], [1, 1]), "times")

    # deviations -1/2 and 1/2 of the logarithm: sqrt(1/2); over sqrt(2); the 97.5 % point for one degree of freedom
    half = 12.706205 * 0.5
    assert result.value == pytest.approx(2)
    assert result.low == pytest.approx(2 * math.exp(-half))
    assert result.high == pytest.approx(2 * math.exp(half))
