"""The laws of datasets hold for the digits, and each is broken by the offender planted for it alone."""

from __future__ import annotations

import pytest

from crtcore.builtin.specs import Digits
from crtcore.testing import Law, Offender
from crtcore.testing.laws.dataset import BENCH, LAWS, OFFENDERS

SOUND = Digits(validation=30, test=50)


def test_every_law_has_one_offender() -> None:
    assert [offender.law.name for offender in OFFENDERS] == [law.name for law in LAWS]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
@pytest.mark.parametrize("offender", OFFENDERS, ids=lambda offender: offender.law.name)
def test_an_offender_breaks_its_law_alone(offender: Offender, law: Law) -> None:
    planted = offender.plant(BENCH.subject(SOUND))

    if law.name in {offender.law.name}:
        with pytest.raises(AssertionError):
            law.attempt(planted)
    else:
        assert law.attempt(planted, examples=8) > 0
