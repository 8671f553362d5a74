"""The laws of decoders hold for ancestral sampling, and each offender breaks its own."""

from __future__ import annotations

import pytest

from crt_basics.decoders.specs import Ancestral
from crt_laws import Law, Offender, obeys
from crt_laws.laws.decoder import BENCH

test_ancestral_decoding = obeys(Ancestral())


@pytest.mark.parametrize("law", BENCH.laws, ids=lambda law: law.name)
def test_every_law_has_an_offender(law: Law) -> None:
    assert any(offender.law is law for offender in BENCH.offenders)


@pytest.mark.parametrize("offender", BENCH.offenders, ids=lambda offender: offender.plant.__name__)
def test_an_offender_breaks_its_law(offender: Offender) -> None:
    with pytest.raises(AssertionError):
        offender.law.attempt(offender.plant(BENCH.subject(Ancestral())))


@pytest.mark.parametrize("offender", BENCH.offenders, ids=lambda offender: offender.plant.__name__)
def test_an_offender_breaks_no_other_law(offender: Offender) -> None:
    for law in BENCH.laws:
        if law is not offender.law and law.name not in offender.also:
            law.attempt(offender.plant(BENCH.subject(Ancestral())), examples=10)
