"""The Gaussian information bottleneck: published numbers, and agreement of its three forms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_vib.frontiers.gaussian import breaks, channel, entropy, information, onset, optimum, squared_correlations

RULES = settings(deadline=None, derandomize=True, database=None, max_examples=50)
SPECTRA = st.lists(st.floats(0.01, 0.99), min_size=1, max_size=4).map(np.array)
UNIT = math.log(2 * math.pi * math.e) / 2
"""Entropy of a target of variance 1."""


def squares(*correlations: float) -> np.ndarray:
    return np.array(correlations) ** 2


@pytest.mark.parametrize(
    ("beta", "rate", "distortion", "total", "variance", "error"),
    [
        (0.90, 0.0, 1.418939, 1.418939, 1.0, 1.0),
        (0.70, 0.301356, 1.190559, 1.401509, 0.54733, 0.63333),
        (0.50, 0.725005, 0.935147, 1.297649, 0.23457, 0.38000),
        (0.20, 1.418152, 0.700145, 0.983775, 0.05864, 0.23750),
        (0.05, 2.197225, 0.614220, 0.724081, 0.01235, 0.20000),
    ],
)
def test_one_component_is_as_published(
    beta: float, rate: float, distortion: float, total: float, variance: float, error: float
) -> None:
    point, made = optimum(squares(0.9), beta), channel(0.81, beta)

    least = UNIT - point.information
    assert (point.rate, least, least + beta * point.rate) == pytest.approx((rate, distortion, total), abs=6e-7)
    assert (made.variance, made.error) == pytest.approx((variance, error), abs=6e-6)


@pytest.mark.parametrize(
    ("beta", "rate", "distortion"),
    [(0.5, 0.725005, 2.354085), (0.36, 1.012687, 2.230655), (0.2, 1.823617, 2.007511), (0.05, 3.381762, 1.835661)],
)
def test_two_components_are_as_published(beta: float, rate: float, distortion: float) -> None:
    point = optimum(squares(0.9, 0.6), beta)

    assert (point.rate, 2 * UNIT - point.information) == pytest.approx((rate, distortion), abs=6e-7)


def test_the_second_component_begins_as_published() -> None:
    assert breaks(squares(0.6, 0.9)).tolist() == pytest.approx([0, 1.012687], abs=6e-7)


def test_no_rate_has_more_than_all_the_information() -> None:
    assert information(squares(0.9, 0.6), 40.0) == pytest.approx(1.053509, abs=6e-7)


@RULES
@given(SPECTRA, st.floats(0.01, 0.99))
def test_the_curve_goes_through_the_optimum_of_each_beta(spectrum: np.ndarray, beta: float) -> None:
    point = optimum(spectrum, beta)

    assert information(spectrum, point.rate) == pytest.approx(point.information, abs=1e-9)


@RULES
@given(SPECTRA, st.floats(0.01, 0.99), st.floats(0, 8))
def test_no_rate_is_better_than_the_optimum(spectrum: np.ndarray, beta: float, rate: float) -> None:
    point = optimum(spectrum, beta)

    assert information(spectrum, rate) - beta * rate <= point.information - beta * point.rate + 1e-9


@RULES
@given(SPECTRA, st.floats(0, 0.5))
def test_from_the_onset_on_the_optimum_has_rate_0(spectrum: np.ndarray, more: float) -> None:
    assert optimum(spectrum, onset(spectrum) + more)[1:] == (0, 0)
    assert optimum(spectrum, onset(spectrum) * 0.999).rate > 0


@RULES
@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_the_rate_of_a_components_channel_is_its_information(squared: float, beta: float) -> None:
    made, point = channel(squared, beta), optimum(np.array([squared]), beta)

    assert made.gain**2 + made.variance == pytest.approx(1)
    assert -math.log(made.variance) / 2 == pytest.approx(point.rate, abs=1e-9)
    # The conditional variance of the target given the code.
    assert 1 - squared * made.gain**2 == pytest.approx(made.error)
    assert -math.log(made.error) / 2 == pytest.approx(point.information, abs=1e-9)


def test_correlations_are_those_of_the_canonical_components() -> None:
    across = np.array([[0.9, 0.0], [0.0, 0.6], [0.0, 0.0]])
    plain = np.block([[np.eye(3), across], [across.T, np.eye(2)]])
    mixed = np.zeros((5, 5))
    mixed[:3, :3] = [[2, 1, 0], [0, 1, 1], [1, 0, 3]]
    mixed[3:, 3:] = [[1, 2], [0, 5]]

    squared = squared_correlations(mixed @ plain @ mixed.T, 3)

    assert squared.tolist() == pytest.approx([0.81, 0.36])


def test_the_entropy_of_a_gaussian_is_that_of_its_channels() -> None:
    assert entropy(np.diag([4.0, 9.0])) == pytest.approx(2 * UNIT + math.log(2) + math.log(3))


@pytest.mark.parametrize(
    ("matrix", "inputs", "message"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], 2, "expected 1 to 1 inputs of 2 variables, got 2"),
        ([[1.0, 2.0], [2.0, 1.0]], 1, "expected a covariance that is symmetric and positive definite"),
        ([[1.0, 0.2], [0.1, 1.0]], 1, "expected a covariance that is symmetric and positive definite"),
    ],
)
def test_an_invalid_covariance_is_refused(matrix: Sequence[Sequence[float]], inputs: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        squared_correlations(np.array(matrix), inputs)


@pytest.mark.parametrize("spectrum", [[], [1.0], [-0.1]])
def test_an_invalid_correlation_is_refused(spectrum: list[float]) -> None:
    with pytest.raises(ValueError, match="expected squared correlations from 0 up to 1"):
        optimum(np.array(spectrum), 0.5)


def test_a_beta_or_a_rate_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a beta above 0, got 0\.0"):
        optimum(squares(0.5), 0.0)
    with pytest.raises(ValueError, match=r"expected a rate of at least 0, got -1\.0"):
        information(squares(0.5), -1.0)


@pytest.mark.parametrize("rate", [40.0, 400.0, 1e6])
def test_at_a_large_rate_there_is_all_the_information(rate: float) -> None:
    assert information(np.array([0.5]), rate) == pytest.approx(math.log(2) / 2, abs=1e-9)  # -ln(1 - 0.5) / 2
