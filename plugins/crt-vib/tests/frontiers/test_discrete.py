"""The discrete information bottleneck: closed form, published frontier, and no encoder beats it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_vib.frontiers.classical import binary_entropy
from crt_vib.frontiers.discrete import frontier, informations, mutual_information
from crt_vib.frontiers.envelope import least_distortion
from crt_vib.frontiers.pointer import noisy_pointer

RULES = settings(deadline=None, derandomize=True, database=None, max_examples=50)
POINTER = noisy_pointer(16, 0.2)
PUBLISHED = (
    (1 / 3, 2.7652, 0.9926),
    (1 / 2, 2.6069, 1.0630),
    (1 / 1.6, 2.0271, 1.3973),
    (1 / 1.5, 1.5103, 1.7323),
    (1 / 1.45, 0.9658, 2.1022),
    (1 / 1.4, 0.0, 2.7726),
)
"""Beta, rate and distortion of the noisy pointer of 16 symbols and noise 0.2; the betas 0.333 to 0.714 are 1 / b."""
POINTS = frontier(POINTER, [beta for beta, rate, _ in PUBLISHED if rate])


def test_the_noisy_pointer_has_the_published_information() -> None:
    assert mutual_information(POINTER) == pytest.approx(1.782252, abs=6e-7)
    assert math.log(16) - mutual_information(POINTER) == pytest.approx(0.990337, abs=6e-7)


def test_its_frontier_is_as_published() -> None:
    points = frontier(POINTER, [beta for beta, *_ in PUBLISHED])

    for point, (beta, rate, distortion) in zip(points, PUBLISHED, strict=True):
        assert point.beta == beta
        assert (point.rate, math.log(16) - point.information) == pytest.approx((rate, distortion), abs=6e-5)


@pytest.mark.parametrize(
    ("b", "rate", "information"), [(1.7, 0.254109, 0.156670), (2, 0.482730, 0.282273), (5, 0.691648, 0.367795)]
)
def test_a_noisy_coin_is_as_published(b: float, rate: float, information: float) -> None:
    (point,) = frontier(np.array([[0.45, 0.05], [0.05, 0.45]]), [1 / b])

    assert (point.rate, point.information) == pytest.approx((rate, information), abs=1e-6)


@pytest.mark.parametrize("flip", [0.02, 0.1, 0.3])
def test_a_noisy_coin_follows_mrs_gerber(flip: float) -> None:
    onset = (1 - 2 * flip) ** 2
    joint = np.array([[1 - flip, flip], [flip, 1 - flip]]) / 2

    for point in frontier(joint, [0.3 * onset, 0.6 * onset, 0.9 * onset]):
        low, high = 0.0, 0.5  # the probability of an error by bisection: its entropy is ln 2 less the rate
        while high - low > 1e-13:
            middle = (low + high) / 2
            low, high = (middle, high) if binary_entropy(middle) < math.log(2) - point.rate else (low, middle)
        through = low * (1 - flip) + flip * (1 - low)
        assert point.information == pytest.approx(math.log(2) - binary_entropy(through), abs=1e-6)


def test_from_the_onset_on_a_noisy_coin_has_rate_0() -> None:
    before, after = frontier(np.array([[0.45, 0.05], [0.05, 0.45]]), [1 / 1.6, 1 / 1.55])

    assert before.rate > 0.05
    assert after[1:] == (0, 0)


@RULES
@given(st.integers(0, 2**32), st.floats(0.1, 5))
def test_no_encoder_beats_the_frontier(seed: int, sharpness: float) -> None:
    generator = np.random.default_rng(seed)
    encoder = np.exp(sharpness * generator.normal(size=(16, 16)))
    encoder /= encoder.sum(1, keepdims=True)

    rate, kept = informations(POINTER, encoder)

    assert math.log(16) - kept >= least_distortion(POINTS, math.log(16), rate) - 1e-9


def test_an_encoder_with_more_information_than_rate_is_caught() -> None:
    rate, kept = informations(POINTER, np.eye(16))

    assert math.log(16) - kept < least_distortion(POINTS, math.log(16), rate / 2) - 0.1


def test_between_points_the_least_distortion_is_slightly_under_the_frontier() -> None:
    (known,) = frontier(POINTER, [0.58])

    least = least_distortion(POINTS, math.log(16), known.rate)

    assert 0 <= math.log(16) - known.information - least < 0.02


def test_at_rate_0_the_least_distortion_is_the_entropy() -> None:
    assert least_distortion(POINTS, math.log(16), 0.0) == pytest.approx(math.log(16))


@pytest.mark.parametrize("joint", [[[0.5, 0.6]], [[1.5, -0.5]], [[0.0, 0.0], [0.5, 0.5]]])
def test_a_joint_that_is_no_distribution_is_refused(joint: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="expected probabilities that sum to 1"):
        frontier(np.array(joint), [0.5])


def test_a_beta_of_0_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a beta above 0, got 0\.0"):
        frontier(POINTER, [0.0])


@pytest.mark.parametrize(("symbols", "noise"), [(1, 0.2), (4, 1.5)])
def test_an_invalid_pointer_is_refused(symbols: int, noise: float) -> None:
    with pytest.raises(ValueError, match="expected at least 2 symbols and a probability"):
        noisy_pointer(symbols, noise)


def test_a_probability_whose_square_is_too_small_for_a_float_counts_for_nothing() -> None:
    assert mutual_information(np.diag([1e-200, 1.0])) == pytest.approx(0, abs=1e-12)
