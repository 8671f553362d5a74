"""Each law of four kinds is broken by the offender planted for it, and by no other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crt_basics.bottlenecks.specs import FSQ
from crt_basics.datasets.specs import Digits
from crt_laws import Bench, Law, Offender, benches
from crt_laws.toys import Chain, Patches
from crtcore.spec import Spec

SOUND: tuple[Spec, ...] = (FSQ(levels=(5, 4)), Patches(), Chain(), Digits(validation=30, test=50))


def cases() -> Iterator[object]:
    for spec in SOUND:
        bench = benches()[spec.kind]
        for offender in bench.offenders:
            for law in bench.laws:
                yield pytest.param(spec, bench, offender, law, id=f"{spec.kind}-{offender.law.name}-{law.name}")


@pytest.mark.parametrize("spec", SOUND, ids=lambda spec: spec.kind)
def test_every_law_has_one_offender(spec: Spec) -> None:
    bench = benches()[spec.kind]

    assert [offender.law.name for offender in bench.offenders] == [law.name for law in bench.laws]


@pytest.mark.parametrize(("spec", "bench", "offender", "law"), list(cases()))
def test_an_offender_breaks_its_law_alone(spec: Spec, bench: Bench, offender: Offender, law: Law) -> None:
    planted = offender.plant(bench.subject(spec))

    if law.name in {offender.law.name} | offender.also:
        with pytest.raises(AssertionError):
            law.attempt(planted)
    else:
        assert law.attempt(planted, examples=8) > 0
