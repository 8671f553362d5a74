from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_vib.frontiers.classical import binary_rate, gaussian_rate, rate_distortion, water_filling

RULES = settings(deadline=None, derandomize=True, database=None, max_examples=50)
HAMMING = 1 - np.eye(2)


def test_a_biased_coin_is_as_published() -> None:
    point = rate_distortion(np.array([0.3, 0.7]), HAMMING, 2.0)

    assert (point.distortion, point.rate) == pytest.approx((0.119203, 0.245530), abs=6e-7)


@RULES
@given(st.floats(0.05, 0.95), st.floats(0.2, 8))
def test_a_biased_coin_follows_the_closed_form(probability: float, slope: float) -> None:
    point = rate_distortion(np.array([probability, 1 - probability]), HAMMING, slope)

    assert point.rate == pytest.approx(binary_rate(probability, point.distortion), abs=1e-6)


@RULES
@given(st.integers(0, 2**32), st.floats(0.1, 20))
def test_the_bound_certifies_the_rate(seed: int, slope: float) -> None:
    generator = np.random.default_rng(seed)
    source = generator.dirichlet(np.ones(5))

    point = rate_distortion(source, generator.random((5, 7)), slope)

    assert point.bound <= point.rate + 1e-12
    assert point.rate - point.bound < 1e-6


def test_a_gaussian_on_a_fine_grid_follows_the_closed_form() -> None:
    grid = np.linspace(-5, 5, 81)
    source = np.exp(-(grid**2) / 2)
    source /= source.sum()

    point = rate_distortion(source, (grid[:, None] - grid) ** 2, 2.0)

    assert point.distortion == pytest.approx(0.25, abs=1e-4)  # 1 / (2 slope)
    assert point.rate == pytest.approx(gaussian_rate(1.0, point.distortion), abs=1e-3)


@RULES
@given(st.lists(st.floats(0.1, 5), min_size=1, max_size=4), st.floats(0.05, 1.2))
def test_water_filling_has_the_least_rate(variances: list[float], share: float) -> None:
    distortion = share * sum(variances)
    even = [min(variance, distortion / len(variances)) for variance in variances]

    rate = water_filling(np.array(variances), distortion)

    assert rate <= sum(gaussian_rate(*pair) for pair in zip(variances, even, strict=True)) + 1e-9
    # The level by bisection, from which the rate follows.
    low, high = 0.0, max(variances)
    for _ in range(200):
        level = (low + high) / 2
        low, high = (level, high) if sum(min(level, v) for v in variances) < distortion else (low, level)
    assert rate == pytest.approx(sum(gaussian_rate(v, min(high, v)) for v in variances), abs=1e-9)


def test_water_filling_of_one_channel_follows_the_closed_form() -> None:
    assert water_filling(np.array([4.0]), 1.0) == pytest.approx(math.log(4) / 2)
    assert water_filling(np.array([4.0, 1.0]), 6.0) == 0


def test_invalid_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="expected probabilities that sum to 1"):
        rate_distortion(np.array([0.3, 0.3]), HAMMING, 2.0)
    with pytest.raises(ValueError, match=r"expected a slope above 0, got 0\.0"):
        rate_distortion(np.array([0.5, 0.5]), HAMMING, 0.0)
    with pytest.raises(ValueError, match=r"expected a distortion above 0, got 0\.0"):
        water_filling(np.array([1.0]), 0.0)


def test_a_distortion_that_no_code_has_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a distortion of at least 0, got -0\.1"):
        binary_rate(0.3, -0.1)
    with pytest.raises(ValueError, match=r"a distortion above 0, got 0\.0"):
        gaussian_rate(1.0, 0.0)
