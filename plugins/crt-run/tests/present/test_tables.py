"""Numbers in the tables of the terminal: intervals that are not lost in rounding, and seeds that are missing."""

from __future__ import annotations

import pytest

from crt_run.present.tables import cell, spread
from crt_run.runs.numbers import written
from crtcore.kinds import Measurement


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((1234.0, 1233.6, 1234.4), "1234 ± 0.400"),
        ((0.0003, -0.0001, 0.0007), "0.0003 ± 0.0004"),
        ((36.0, 35.999, 36.001), "36.00 ± 0.001"),
        ((36.0, 35.0, 37.0), "36.00 ± 1.00"),
        ((31.71, 31.71, 31.71 + 1e-14), "31.71"),  # rounding
    ],
)
def test_half_an_interval_that_is_not_0_is_not_shown_as_0(values: tuple[float, float, float], shown: str) -> None:
    value, low, high = values

    assert spread(written(Measurement(value, "ids", 5, low, high))) == shown


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ((2.0, 0.5, 8.0), "2.00 (0.500 to 8.00)"),
        ((0.99, 0.95, 0.998), "0.990 (0.950 to 0.998)"),
        ((2.0, 1.0, 3.0), "2.00 ± 1.00"),
        ((2.0, 1.0, 3.1), "2.00 ± 1.05"),  # the middle is off by a twentieth of the half
    ],
)
def test_an_interval_that_is_not_symmetric_is_shown_by_its_ends(values: tuple[float, float, float], shown: str) -> None:
    value, low, high = values

    assert spread(written(Measurement(value, "times", 5, low, high))) == shown


def test_a_number_that_some_seeds_lack_says_how_many_have_it() -> None:
    values = {**written(Measurement(2.0, "ids", 4, 1.0, 3.0)), "difference": None}

    assert str(cell(values, 5)) == "2.00 ± 1.00 (n = 4)"
    assert str(cell(values, 4)) == "2.00 ± 1.00"
