from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_vib.frontiers.discrete import informations
from crt_vib.frontiers.erasure import erased, floor

RULES = settings(deadline=None, derandomize=True, database=None, max_examples=50)


@RULES
@given(st.integers(2, 20), st.floats(0, 1))
def test_an_erasure_code_reaches_the_floor(classes: int, kept: float) -> None:
    encoder = np.concatenate([kept * np.eye(classes), np.full((classes, 1), 1 - kept)], 1)

    rate, information = informations(np.eye(classes) / classes, encoder)

    assert erased(classes, kept)[1:] == pytest.approx((rate, information), abs=1e-9)
    assert math.log(classes) - information == pytest.approx(floor(math.log(classes), rate), abs=1e-9)


def test_above_the_entropy_the_floor_is_0() -> None:
    assert floor(2.0, 3.0) == 0


def test_an_invalid_probability_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a probability, got 1\.5"):
        erased(4, 1.5)
