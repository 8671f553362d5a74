"""Each law is broken by the offender planted for it, and by no other; a law that checks nothing is noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import hypothesis
import pytest
from hypothesis import strategies as st

from crt_basics.bottlenecks.specs import FSQ
from crt_basics.datasets.specs import Digits
from crt_basics.metrics.specs import CodeLength
from crt_laws import Bench, Broken, Checks, Law, Offender, Unchecked, benches, check, law
from crt_laws.kit import OF_SPECS, Where
from crt_laws.laws import implementation
from crt_laws.toy_experiment import Learn
from crt_laws.toys import Chain, Here, Patches, Runs
from crtcore.kinds import KINDS
from crtcore.registry import discover
from crtcore.spec import Spec

SOUND: tuple[Spec, ...] = (
    FSQ(levels=(5, 4)), Patches(), Chain(), Digits(validation=30, test=50), Runs(), CodeLength(), Here(), Learn(),
)  # fmt: skip


def of_kind(bench: Bench) -> Iterator[Offender]:
    return (offender for offender in bench.offenders if offender.law.kind == bench.kind)


def cases() -> Iterator[object]:
    """Each offender, planted on the first sound component to which its law applies, with each law."""
    for kind in dict.fromkeys(spec.kind for spec in SOUND):
        bench = benches()[kind]
        for offender in of_kind(bench):
            spec = next(spec for spec in SOUND if spec.kind == kind and applies(bench, offender, spec))
            for each in bench.laws:
                if each.kind != OF_SPECS:
                    yield pytest.param(spec, bench, offender, each, id=f"{kind}-{offender.law.name}-{each.name}")


def applies(bench: Bench, offender: Offender, spec: Spec) -> bool:
    return offender.law.not_applicable(offender.plant(bench.subject(spec))) is None


@pytest.mark.parametrize("kind", KINDS)
def test_every_law_has_an_offender(kind: str) -> None:
    bench = benches()[kind]

    assert {offender.law.name for offender in bench.offenders} == {law.name for law in bench.laws}


@pytest.mark.parametrize(("spec", "bench", "offender", "law"), list(cases()))
def test_an_offender_breaks_its_law_alone(spec: Spec, bench: Bench, offender: Offender, law: Law) -> None:
    planted = offender.plant(bench.subject(spec))

    if law.name in {offender.law.name} | offender.also:
        with pytest.raises(Broken):
            law.attempt(planted)
    elif law.not_applicable(planted) is None:
        assert law.attempt(planted, examples=8).checks > 0


@pytest.mark.parametrize("offender", implementation.OFFENDERS, ids=lambda offender: str(offender.plant.__name__))
@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_implementation_breaks_the_law_of_every_kind(kind: str, offender: Offender) -> None:
    installed = (component.examples[0] for _, component in discover())
    spec = next(spec for spec in (*SOUND, *installed) if spec.kind == kind)

    assert offender.law.attempt(spec).checks == 1
    with pytest.raises(Broken, match="demands: `implementation`"):
        offender.law.attempt(offender.plant(spec))


def vacuous(where: Where | None = None) -> Law:
    """A law that checks something only for numbers that it never draws."""

    @law("bottleneck", where=where, number=st.integers(0, 3))
    def small_numbers_are_small(_: object, number: int) -> Checks:
        """Any component will do."""
        if number > 3:
            yield check(True, f"{number}")

    return small_numbers_are_small


def test_a_law_that_checks_nothing_does_not_hold() -> None:
    with pytest.raises(Unchecked, match="nothing was checked: the law yielded no check"):
        vacuous().attempt(object())


def test_a_law_whose_inputs_are_all_rejected_does_not_hold() -> None:
    @law("bottleneck", number=st.integers(0, 3))
    def no_number_is_accepted(_: object, number: int) -> Checks:
        """Any component will do."""
        hypothesis.assume(number > 3)
        yield check(True, f"{number}")

    with pytest.raises(Unchecked, match="nothing was checked: no drawn input was accepted"):
        no_number_is_accepted.attempt(object())


def test_only_examples_with_a_check_are_counted() -> None:
    @law("bottleneck", number=st.integers(0, 9))
    def large_numbers_are_large(_: object, number: int) -> Checks:
        """Any component will do."""
        if number > 3:
            yield check(number >= 4, f"{number}")
            yield check(number > 3, f"{number}")

    tried, checks = large_numbers_are_large.attempt(object(), examples=100)

    assert 0 < tried <= 6  # the numbers from 4 to 9
    assert checks == 2 * tried


def test_a_check_of_an_empty_tensor_breaks_the_law() -> None:
    import torch

    @law("bottleneck")
    def nothing_is_positive(_: object) -> Checks:
        """An empty tensor is positive, whatever the component."""
        yield check(torch.empty(0) > 0, "nothing")

    with pytest.raises(Broken, match="got an empty tensor"):
        nothing_is_positive.attempt(object())


def asserts(_: object) -> None:
    """A law that asserts by itself."""
    assert True


def undocumented(_: object) -> Checks:
    yield check(True, "")


@pytest.mark.parametrize(
    ("function", "error"), [(asserts, "expected a generator function"), (undocumented, "expected a docstring")]
)
def test_a_law_yields_its_checks_and_states_itself(function: Callable[..., Checks], error: str) -> None:
    with pytest.raises((TypeError, ValueError), match=error):
        law("bottleneck")(function)


def test_a_broken_law_states_demand_observation_and_inputs() -> None:
    @law("bottleneck", number=st.integers(0, 9))
    def numbers_are_small(_: object, number: int) -> Checks:
        """Numbers are below 5.

        There are ten.
        """
        yield check(number < 5, f"{number}")

    with pytest.raises(Broken, match=r"^demands: Numbers are below 5; observed: 5, where number=5$"):
        numbers_are_small.attempt(object())
