from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_vib.gaussian.divergence import kl_divergence
from crt_vib.gaussian.posterior import log_density

RULES = settings(deadline=None, derandomize=True, database=None, max_examples=50)
NUMBERS = st.floats(-3, 3)
SCALES = st.floats(0.1, 3)


def of(mean: float, scale: float, other_mean: float, other_scale: float) -> float:
    """The divergence of two Gaussians of one channel."""
    numbers = torch.tensor([mean, scale, other_mean, other_scale], dtype=torch.float64)
    return float(kl_divergence(*numbers))


@pytest.mark.parametrize(
    ("one", "other", "nats"),
    [
        ((0, 1), (0, 1), 0.0),
        ((1, 1), (0, 1), 0.5),
        ((0, 0.5), (0, 1), 0.31814718),
        ((2, 0.1), (0, 1), 3.80758509),
        ((1, 2), (-1, 3), 0.34990955),
    ],
)
def test_the_divergence_is_as_published(one: tuple[float, float], other: tuple[float, float], nats: float) -> None:
    assert of(*one, *other) == pytest.approx(nats, abs=5e-9)


@RULES
@given(NUMBERS, SCALES, NUMBERS, SCALES)
def test_the_divergence_is_the_mean_difference_of_log_densities(
    mean: float, scale: float, other_mean: float, other_scale: float
) -> None:
    places = torch.linspace(mean - 12 * scale, mean + 12 * scale, 20_001, dtype=torch.float64)[:, None]
    pair = [
        log_density(places, torch.tensor([m], dtype=torch.float64), torch.tensor([s], dtype=torch.float64))
        for m, s in ((mean, scale), (other_mean, other_scale))
    ]

    integral = torch.trapezoid(pair[0].exp() * (pair[0] - pair[1]), places[:, 0])

    assert of(mean, scale, other_mean, other_scale) == pytest.approx(float(integral), abs=1e-9, rel=1e-9)


@RULES
@given(NUMBERS, SCALES, NUMBERS, SCALES)
def test_the_divergence_is_never_negative(mean: float, scale: float, other_mean: float, other_scale: float) -> None:
    assert of(mean, scale, other_mean, other_scale) >= 0


def test_a_density_sums_over_channels() -> None:
    zeros, ones = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)

    assert float(log_density(ones, zeros, ones)) == pytest.approx(-1.5 * (1 + math.log(2 * math.pi)))
