"""The study of codes of a mixture beside those of one Gaussian."""

from __future__ import annotations

from pathlib import Path

import pytest

from crtcore import discover
from crtcore.compose.plan import load

SPEC = Path(__file__).parents[1] / "specs" / "figures" / "mixture-vib.toml"


@pytest.mark.parametrize("name", ["baseline", "mixture"])
def test_codes_of_a_mixture_are_as_wide_as_those_of_one_gaussian(name: str) -> None:
    """16 channels, as many as symbols."""
    points = load(SPEC, discover()).points

    widths = {point.plan.parts["bottleneck"].latent for point in points if point.arm == name}

    assert widths == {16}
