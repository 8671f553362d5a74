"""A Gaussian bottleneck reaches the frontier of jointly Gaussian variables and never beats it.

All expectations are exact. Mean and rate of a linear channel of one width for all features are quadratic in them, and
so are right in the mean over 2 m points that have the covariance of the features.

Axes: z variables, x channels of the input, m of them, w rows of points.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crt_vib import Gaussian
from crt_vib.frontiers.gaussian import entropy, onset, optimum, squared_correlations
from crt_vib.gaussian.channel import GaussianChannel

RULES = settings(deadline=None, derandomize=True, database=None, max_examples=50)
SEEDS = st.integers(0, 2**32)
SIZES = st.tuples(st.integers(1, 3), st.integers(1, 3))


class Problem(NamedTuple):
    """Jointly Gaussian input and target, and their frontier."""

    joint: Tensor
    inputs: int
    squared: np.ndarray
    entropy: float
    """Entropy of the target."""


def problem(seed: int, sizes: tuple[int, int]) -> Problem:
    """A problem whose covariance is that of slightly more normal samples than variables."""
    count = sum(sizes)
    factors = np.random.default_rng(seed).normal(size=(count, count + 2))
    joint = factors @ factors.T / (count + 2)
    target = joint[sizes[0] :, sizes[0] :]
    return Problem(torch.from_numpy(joint), sizes[0], squared_correlations(joint, sizes[0]), entropy(target))


def linear(width: int, seed: int, components: int = 0) -> GaussianChannel:
    """A channel with one code channel for each of the input, each with the same scale for all features."""
    torch.manual_seed(seed)
    channel = Gaussian(width=width, latent=width, components=components).build().double()
    last = channel.head[0]
    assert isinstance(last, torch.nn.Linear)
    still = torch.ones_like(last.weight)
    still[width:] = 0
    with torch.no_grad():
        last.weight *= 10 * still
    last.weight.register_hook(lambda gradient: gradient * still)
    return channel


def measured(channel: GaussianChannel, posed: Problem, noise: float = 1.0) -> tuple[Tensor, Tensor]:
    """Rate, and distortion of the best decoder; codes have `noise` times the noise that the rate assumes."""
    size = posed.inputs
    root = torch.linalg.cholesky(posed.joint[:size, :size]).T * size**0.5
    points = torch.cat([root, -root])  # w x
    mean, scale = channel.posterior(points.unsqueeze(1))
    rate = channel(points.unsqueeze(1)).rate.mean()  # exact, whatever the code
    centred = mean[:, 0] - mean[:, 0].mean(0)
    noisy = centred.T @ centred / len(points) + (noise * scale[0, 0]).square().diag()
    gain = torch.linalg.lstsq(points, centred).solution  # x d
    across = posed.joint[size:, :size] @ gain  # y d
    left = posed.joint[size:, size:] - across @ torch.linalg.solve(noisy, across.T)
    return rate, torch.logdet(2 * math.pi * math.e * left) / 2


def trained(posed: Problem, beta: float, seed: int, components: int = 0) -> GaussianChannel:
    """A channel trained to minimise D + beta R."""
    channel = linear(posed.inputs, seed, components)
    optimizer = torch.optim.LBFGS(
        channel.parameters(), max_iter=300, tolerance_grad=1e-10, tolerance_change=1e-13, line_search_fn="strong_wolfe"
    )

    def objective() -> Tensor:
        optimizer.zero_grad()
        rate, distortion = measured(channel, posed)
        total = distortion + beta * rate
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(objective)  # type: ignore[arg-type,no-untyped-call]
    return channel


def values(channel: GaussianChannel, posed: Problem, noise: float = 1.0) -> tuple[float, float]:
    """Rate and distortion as floats."""
    rate, distortion = measured(channel, posed, noise)
    return rate.item(), distortion.item()


@RULES
@given(SEEDS, SIZES, st.floats(0.02, 0.98), st.floats(0.05, 3))
def test_an_untrained_channel_never_beats_the_frontier(
    seed: int, sizes: tuple[int, int], beta: float, gain: float
) -> None:
    posed = problem(seed, sizes)
    channel = linear(posed.inputs, seed)
    with torch.no_grad():
        channel.head[0].weight *= gain  # type: ignore[operator]

    rate, distortion = values(channel, posed)

    best = optimum(posed.squared, beta)
    assert distortion + beta * rate >= posed.entropy - best.information + beta * best.rate - 1e-9


@settings(RULES, max_examples=10)
@given(SEEDS, SIZES, st.floats(0.05, 0.95), st.sampled_from((0, 1)))
def test_a_trained_channel_reaches_the_frontier(
    seed: int, sizes: tuple[int, int], beta: float, components: int
) -> None:
    posed = problem(seed, sizes)

    rate, distortion = values(trained(posed, beta, seed, components), posed)

    best = optimum(posed.squared, beta)
    optimal = posed.entropy - best.information + beta * best.rate
    assert optimal - 1e-9 <= distortion + beta * rate <= optimal + 1e-3


@settings(RULES, max_examples=5)
@given(SEEDS, SIZES, st.floats(1.05, 2))
def test_from_the_onset_on_a_trained_channel_has_rate_0(seed: int, sizes: tuple[int, int], more: float) -> None:
    posed = problem(seed, sizes)

    rate, distortion = values(trained(posed, more * onset(posed.squared), seed), posed)

    assert rate == pytest.approx(0, abs=1e-3)
    assert distortion == pytest.approx(posed.entropy, abs=1e-3)


@settings(RULES, max_examples=5)
@given(SEEDS, SIZES)
def test_a_channel_with_less_noise_than_its_rate_assumes_is_caught(seed: int, sizes: tuple[int, int]) -> None:
    posed = problem(seed, sizes)
    beta = onset(posed.squared) / 2

    rate, distortion = values(trained(posed, beta, seed), posed, noise=0.5)

    best = optimum(posed.squared, beta)
    assert distortion + beta * rate < posed.entropy - best.information + beta * best.rate - 1e-3
