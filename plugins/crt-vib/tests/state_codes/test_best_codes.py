"""The best codes of a model's own distribution: exact where the frontier is known, and never below what is certain."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crt_vib.frontiers.discrete import frontier
from crt_vib.frontiers.pointer import noisy_pointer
from crt_vib.state_codes.best_codes import best_codes, least, slope

CHANCES = 16 * noisy_pointer(16, 0.2)


def test_converged_codes_of_the_noisy_pointer_are_its_frontier() -> None:
    (point,) = frontier(noisy_pointer(16, 0.2), [0.5])

    codes = best_codes(CHANCES, [0.5], 50_000)

    assert least(codes, point.rate) == pytest.approx(math.log(16) - point.information, abs=1e-9)


def test_the_ends_are_no_code_and_the_context_itself() -> None:
    codes = best_codes(CHANCES, [0.5], 3)

    assert codes[0] == pytest.approx((0.0, math.log(16)))
    assert codes[-1] == pytest.approx((math.log(16), 0.990337), abs=1e-6)


def test_no_code_is_below_what_is_certain_however_few_the_iterations() -> None:
    chances = np.random.default_rng(0).dirichlet(np.full(12, 0.2), size=20)

    codes = best_codes(chances, [0.1, 0.3, 0.6], 2)

    for rate in np.linspace(0, math.log(20), 50):
        assert least(codes, rate) >= max(codes[0][1] - rate, codes[-1][1]) - 1e-9


def test_the_slope_is_that_of_the_segment_and_0_beyond_the_ends() -> None:
    points = [(0.0, 3.0), (1.0, 2.0), (3.0, 1.0)]

    assert [slope(points, rate) for rate in (0.0, 0.5, 1.0, 2.9, 3.0, 4.0)] == [-1, -1, -0.5, -0.5, 0, 0]


@pytest.mark.parametrize("beta", [0.1, 0.3])
def test_more_iterations_lessen_what_they_minimise(beta: float) -> None:
    chances = np.random.default_rng(1).dirichlet(np.full(12, 0.2), size=20)

    few, many = (
        min(distortion + beta * rate for rate, distortion in best_codes(chances, [beta], count)) for count in (1, 2000)
    )

    assert many < few
