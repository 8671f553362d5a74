"""`crt laws` says what was tried, and fails for what does not hold, was not tried or should not have been excused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import attrs
import hypothesis
import pytest
from click.testing import CliRunner, Result
from hypothesis import strategies as st

from crt_basics.bottlenecks.specs import FSQ
from crt_basics.metrics.specs import Frechet
from crt_laws import trial as command
from crt_laws.kit import Bench, law
from crt_laws.laws import bottleneck
from crt_laws.laws.bottleneck_offenders import after
from crtcore.cli import commands, main
from crtcore.hooks import Component
from crtcore.kinds import BottleneckSpec
from crtcore.registry import Registry, discover
from crtcore.spec import Spec

FINITE = "rate-and-loss-are-finite"


@attrs.frozen(kw_only=True)
class Endless(BottleneckSpec):
    """Codes of infinite rate."""

    def build(self) -> Any:
        return after(lambda squeezed: squeezed._replace(rate=squeezed.rate + float("inf")))(
            FSQ(levels=(3,)).build().double()
        )


@attrs.frozen(kw_only=True)
class Unbuilt(BottleneckSpec):
    """Cannot be built."""

    def build(self) -> Any:
        raise ImportError("no [/library] here")


def planted(spec: type[Spec], departs: Mapping[str, str] = MappingProxyType({})) -> Component:
    return Component("planted", spec=spec, summary="", examples=(spec(),), departs=departs)


@pytest.fixture
def crt(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`crt laws ...` where these components are what is installed."""

    def run(*components: Component, words: tuple[str, ...] = ("--json",)) -> Result:
        monkeypatch.setattr(commands, "discover", lambda: Registry.of(("here", one) for one in components))
        return CliRunner().invoke(main, ["laws", *words])

    return run


def rows(result: Result, status: int) -> dict[str, dict[str, Any]]:
    """Law to its row in the answer."""
    assert result.exit_code == status, result.output
    return {row["law"]: row for row in json.loads(result.stdout)["laws"]}


def with_law(monkeypatch: pytest.MonkeyPatch, **drawn: st.SearchStrategy[Any]) -> None:
    """Makes one law the only one of bottlenecks: it takes what it draws and finds nothing wrong."""

    def any_will_do(subject: object, **given: Any) -> None:
        """Anything will do."""
        hypothesis.assume(given["number"] > 3)

    bench = Bench("bottleneck", bottleneck.subject, (law("bottleneck", **drawn)(any_will_do),), ())
    monkeypatch.setattr(command, "benches", lambda: {"bottleneck": bench})


def test_every_law_of_a_component_is_tried_on_some_examples() -> None:
    result = CliRunner().invoke(main, ["laws", "fsq", "--json"])

    told = rows(result, 0)
    assert list(told) == [law.name for law in bottleneck.LAWS]
    examples = len(discover().find("bottleneck", "fsq").examples)
    assert {(row["kind"], row["component"], row["plugin"]) for row in told.values()} == {
        ("bottleneck", "fsq", "crtcore")
    }
    assert all(row["tried"] >= examples and row["outcome"] == "holds" for row in told.values())
    assert json.loads(result.stdout)["without_laws"] == []


def test_a_broken_law_fails_and_says_why(crt: Callable[..., Result]) -> None:
    told = rows(crt(planted(Endless)), 1)

    assert told[FINITE]["outcome"] == "fails"
    assert told[FINITE]["reason"].startswith("Endless(): AssertionError")
    assert bottleneck.rate_and_loss_are_finite.statement in told[FINITE]["reason"]
    assert told["ids-are-in-range"]["outcome"] == "holds"


def test_a_declared_departure_is_told_and_does_not_fail(crt: Callable[..., Result]) -> None:
    told = rows(crt(planted(Endless, {FINITE: "it is endless (#1)"})), 0)

    assert (told[FINITE]["outcome"], told[FINITE]["reason"]) == ("departs", "it is endless (#1)")


def test_a_departure_that_holds_after_all_fails(crt: Callable[..., Result]) -> None:
    told = rows(crt(planted(FSQ, {FINITE: "once it was not"})), 1)

    assert told[FINITE]["outcome"] == "holds after all"
    assert "once it was not" in told[FINITE]["reason"]
    assert told[FINITE]["tried"] > 0


def test_a_departure_from_a_law_that_is_not_there_fails(crt: Callable[..., Result]) -> None:
    told = rows(crt(planted(FSQ, {"no-such-law": "why not"})), 1)

    assert told["no-such-law"]["outcome"] == "fails"
    assert told["no-such-law"]["reason"] == "no law of a bottleneck is called so"


def test_a_component_that_cannot_be_built_fails_whatever_it_departs_from(crt: Callable[..., Result]) -> None:
    told = rows(crt(planted(Unbuilt, {FINITE: "it is endless"})), 1)

    assert {row["outcome"] for row in told.values()} == {"fails"}
    assert told[FINITE]["reason"] == "Unbuilt(): not built: ImportError: no [/library] here"


@pytest.mark.parametrize("departs", [{}, {"any-will-do": "so they say"}])
def test_a_law_that_tries_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, crt: Callable[..., Result], departs: Mapping[str, str]
) -> None:
    with_law(monkeypatch, number=st.integers(0, 3))

    told = rows(crt(planted(FSQ, departs)), 1)

    assert told["any-will-do"]["outcome"] == "fails"
    assert told["any-will-do"]["tried"] == 0


def test_a_law_counts_the_examples_it_tried_and_not_those_it_turned_down(
    monkeypatch: pytest.MonkeyPatch, crt: Callable[..., Result]
) -> None:
    with_law(monkeypatch, number=st.integers(0, 9))

    told = rows(crt(planted(FSQ)), 0)

    assert 0 < told["any-will-do"]["tried"] <= 6  # 4 to 9 are all there are


def test_components_of_kinds_without_laws_are_named(
    monkeypatch: pytest.MonkeyPatch, crt: Callable[..., Result]
) -> None:
    with_law(monkeypatch, number=st.just(4))

    answer = json.loads(crt(planted(FSQ), planted(Frechet)).stdout)

    assert answer["without_laws"] == ["metric/planted"]
    assert [row["component"] for row in answer["laws"]] == ["planted"]


def test_a_person_sees_outcome_and_reason_of_every_law(crt: Callable[..., Result]) -> None:
    result = crt(planted(Unbuilt), planted(Frechet), words=())

    assert result.exit_code == 1
    assert result.stdout.count("no [/library] here") == len(bottleneck.LAWS)
    assert f"{len(bottleneck.LAWS)} laws tried; components without laws: metric/planted" in result.stdout
    assert f"bottleneck/planted: {FINITE}: fails" in result.stderr


def test_a_name_that_is_not_installed_is_refused_with_the_nearest(crt: Callable[..., Result]) -> None:
    result = crt(planted(FSQ), words=("plantd", "--json"))

    assert result.exit_code == 2
    assert "did you mean 'planted'?" in json.loads(result.stdout)["error"]
