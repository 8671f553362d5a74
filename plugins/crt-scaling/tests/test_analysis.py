"""What compute buys: frontiers, laws of known exponents, and savings that are known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crt_scaling.analysis import FEWEST, PowerLaw, Spot, fitted, frontier, saving
from crt_scaling.meanings import MEANINGS

SPOTS = st.lists(
    st.builds(Spot, st.floats(1e6, 1e15), st.floats(0.1, 1e3)), min_size=1, max_size=30, unique_by=lambda spot: spot[0]
)
LAWS = st.builds(PowerLaw, st.floats(0, 5), st.floats(3, 8), st.floats(-0.8, -0.2))


def on(law: PowerLaw, costs: Sequence[float]) -> list[Spot]:
    """Spots of a law; its scale is the logarithm of what is above the limit at 1e9 FLOPs."""
    return [Spot(cost, law.limit + math.exp(law.scale) * (cost / 1e9) ** law.exponent) for cost in costs]


COSTS = [10 ** (9 + index / 4) for index in range(17)]
"""Four decades."""


@given(SPOTS)
def test_nothing_as_cheap_is_better_than_the_frontier(spots: list[Spot]) -> None:
    result = frontier(spots)

    for spot in spots:
        reached = [other.value for other in result if other.flops <= spot.flops]
        assert min(reached) <= spot.value


@given(SPOTS)
def test_along_the_frontier_more_compute_is_always_better(spots: list[Spot]) -> None:
    result = frontier(spots)

    assert set(result) <= set(spots)
    assert all(one.flops < other.flops and one.value > other.value for one, other in itertools.pairwise(result))


@given(SPOTS)
def test_the_frontier_of_a_frontier_is_itself(spots: list[Spot]) -> None:
    result = frontier(spots)

    assert frontier(reversed(result)) == result


@given(LAWS)
def test_a_law_is_recovered_from_spots_on_it(law: PowerLaw) -> None:
    result = fitted(on(law, COSTS))

    assert result is not None
    assert result.exponent == pytest.approx(law.exponent, abs=0.02)
    assert result.limit == pytest.approx(law.limit, abs=0.02 * (law.limit + 1))


@given(LAWS, st.floats(0.01, 100))
def test_other_units_of_compute_change_the_scale_alone(law: PowerLaw, unit: float) -> None:
    spots = on(law, COSTS)

    one, other = fitted(spots), fitted([Spot(unit * spot.flops, spot.value) for spot in spots])

    assert one is not None
    assert other is not None
    assert other.exponent == pytest.approx(one.exponent, abs=1e-3)
    assert other.scale == pytest.approx(one.scale - one.exponent * math.log(unit), abs=0.1)


def test_a_noisy_law_is_found_within_its_noise() -> None:
    """Errors of 1 %, alternating: an exponent of -0.5 within 0.1."""
    spots = on(PowerLaw(2.0, 4.0, -0.5), COSTS)

    result = fitted([Spot(spot.flops, spot.value * (1 + 0.01 * (-1) ** at)) for at, spot in enumerate(spots)])

    assert result is not None
    assert result.exponent == pytest.approx(-0.5, abs=0.1)


@pytest.mark.parametrize(
    "spots",
    [on(PowerLaw(1.0, 4.0, -0.5), COSTS[: FEWEST - 1]), [*on(PowerLaw(1.0, 4.0, -0.5), COSTS), Spot(1e20, -0.1)]],
)
def test_too_few_spots_and_values_under_nothing_have_no_law(spots: list[Spot]) -> None:
    assert fitted(spots) is None


@given(LAWS, st.floats(0.2, 5))
def test_a_frontier_that_needs_a_share_of_the_compute_saves_as_much(law: PowerLaw, times: float) -> None:
    """What `times` less compute reaches the same: the ratio is exactly that, wherever both pass."""
    others = on(law, COSTS)
    spots = [Spot(spot.flops / times, spot.value) for spot in others]

    result = saving(spots, others)

    assert result is not None
    assert result.ratio == pytest.approx(times, rel=1e-9)
    assert result.share == pytest.approx(1)


@given(SPOTS, SPOTS)
def test_changing_sides_inverts_the_ratio(spots: list[Spot], others: list[Spot]) -> None:
    one, other = saving(frontier(spots), frontier(others)), saving(frontier(others), frontier(spots))

    assert (one is None) == (other is None)
    if one and other:
        assert one.ratio * other.ratio == pytest.approx(1)
        assert 0 < one.share <= 1


def test_laws_of_other_exponents_save_what_their_inverses_say() -> None:
    """x and x^2 FLOPs for the same value: between 1e9 and 1e11 and dense spots the mean follows from the integral."""
    costs = [10 ** (9 + index / 200) for index in range(401)]
    values = [-math.log(cost) for cost in costs]
    spots = [Spot(cost, value) for cost, value in zip(costs, values, strict=True)]
    others = [Spot(cost**2, value) for cost, value in zip(costs, values, strict=True)]

    result = saving(spots, others)

    assert result is not None
    assert math.log(result.ratio) == pytest.approx(math.log(1e10))  # the mean of log C over values even in log C


def test_what_is_better_is_what_the_numbers_say() -> None:
    cheap = on(PowerLaw(0, 5, -0.5), COSTS)
    dear = [Spot(2 * spot.flops, spot.value) for spot in cheap]
    saved = saving(cheap, dear)
    fast, slow = (on(PowerLaw(0, 5, exponent), COSTS)[-1].value for exponent in (-0.6, -0.4))

    assert saved is not None
    assert saved.ratio > 1
    assert MEANINGS["*_flops_ratio"].better == MEANINGS["*_flops_doublings"].better == "higher"
    assert fast < slow
    assert MEANINGS["*_exponent_*"].better == "lower"


def test_only_values_that_both_pass_count() -> None:
    spots = [Spot(1.0, 4.0), Spot(10.0, 2.0), Spot(100.0, 0.0)]
    others = [Spot(2.0, 3.0), Spot(20.0, 1.0)]

    result = saving(spots, others)

    assert result is not None
    assert result.share == pytest.approx(0.5)
    assert math.log10(result.ratio) == pytest.approx(math.log10(2) - 0.5)  # 3 at 10^0.5, 1 at 10^1.5


@pytest.mark.parametrize(
    "others", [[Spot(1.0, 9.0), Spot(2.0, 4.0)], [Spot(1.0, 1.0)], [Spot(1.0, 0.5), Spot(3.0, 0.1)]]
)
def test_frontiers_with_no_value_in_common_say_nothing(others: list[Spot]) -> None:
    assert saving([Spot(1.0, 4.0), Spot(10.0, 1.0)], others) is None
