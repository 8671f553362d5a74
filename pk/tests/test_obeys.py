"""`obeys` makes a case for each law: passed, skipped with the reason, expected to fail, or failed."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from crt_basics.bottlenecks.specs import FSQ
from crt_laws import Bench, Broken, Law, Unchecked, attempt, benches, conformance, law, obeys
from crt_laws.laws import bottleneck, implementation
from crt_laws.laws.bottleneck_offenders import after
from crtcore.kinds import BottleneckSpec, ExecutorSpec

FINITE = bottleneck.rate_and_loss_are_finite
CONTINUOUS = bottleneck.rate_covers_the_mutual_information


@attrs.frozen(kw_only=True)
class Endless(BottleneckSpec):
    """Codes of infinite rate."""

    levels: tuple[int, ...] = (3,)

    def build(self) -> Any:
        return after(lambda output: output._replace(rate=output.rate + float("inf")))(
            FSQ(levels=self.levels).build().double()
        )


def test_there_is_a_case_for_each_law_of_the_kind() -> None:
    (mark,) = obeys(FSQ(levels=(3,))).pytestmark  # type: ignore[attr-defined]

    assert mark.args == ("law", benches()["bottleneck"].laws)


def test_a_law_that_holds_passes() -> None:
    obeys(FSQ(levels=(3,)))(FINITE)


def test_a_law_that_does_not_apply_is_skipped_with_the_reason() -> None:
    with pytest.raises(pytest.skip.Exception, match=r"^not applicable: its codes are discrete$"):
        obeys(FSQ(levels=(3,)))(CONTINUOUS)


def test_a_broken_law_fails_with_the_python_that_shows_it() -> None:
    with pytest.raises(Broken, match="demands: The rate is finite") as failure:
        obeys(Endless())(FINITE)

    (note,) = failure.value.__notes__
    assert note.endswith("import Endless; attempt(Endless(levels=(3,)), 'rate-and-loss-are-finite')")


def test_a_departure_from_a_broken_law_is_an_expected_failure() -> None:
    with pytest.raises(pytest.xfail.Exception, match="it is endless"):
        obeys(Endless(), {FINITE.name: "it is endless"})(FINITE)


def test_a_departure_from_a_law_that_holds_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"unexpectedly holds \(remove the departure\): once it was not"):
        obeys(FSQ(levels=(3,)), {FINITE.name: "once it was not"})(FINITE)


def test_a_departure_from_a_law_that_does_not_apply_fails() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"not applicable: its codes are discrete \(remove the departure\)"):
        obeys(FSQ(levels=(3,)), {CONTINUOUS.name: "why not"})(CONTINUOUS)


def test_a_departure_from_a_law_that_does_not_exist_is_refused() -> None:
    with pytest.raises(AssertionError, match="no law of a bottleneck is called"):
        obeys(FSQ(levels=(3,)), {"no-such-law": "why not"})


@attrs.frozen(kw_only=True)
class Alone(ExecutorSpec):
    """Without an implementation."""

    def build(self) -> Any:
        raise NotImplementedError


def test_a_spec_to_which_no_law_applies_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    (law,) = implementation.LAWS
    monkeypatch.setattr(conformance, "benches", lambda: {"executor": Bench("executor", lambda spec: spec, (law,))})

    with pytest.raises(pytest.fail.Exception, match=r"nothing is checked: no law applies to Alone\(\)"):
        obeys(Alone())(law)


@attrs.frozen(kw_only=True)
class Skips(BottleneckSpec):
    """Skips the test that builds it."""

    def build(self) -> Any:
        pytest.skip("not today")


def test_a_component_that_skips_its_test_fails() -> None:
    with pytest.raises(RuntimeError, match="building it raised Skipped: not today"):
        obeys(Skips())(FINITE)


def silent() -> Law:
    @law("bottleneck")
    def it_checks_nothing(_: object) -> Any:
        """Any component will do."""
        yield from ()

    return it_checks_nothing


@pytest.mark.parametrize("departs", [{}, {FINITE.name: "a reason"}])
def test_a_law_that_checks_nothing_fails_whatever_is_declared(departs: dict[str, str]) -> None:
    unchecked = attrs.evolve(silent(), name=FINITE.name)

    with pytest.raises(Unchecked):
        obeys(FSQ(levels=(3,)), departs)(unchecked)


def test_one_law_is_tested_from_python() -> None:
    tried, checks = attempt(FSQ(levels=(3,)), FINITE.name, examples=5)

    assert 0 < tried <= 5
    assert checks == 3 * tried
