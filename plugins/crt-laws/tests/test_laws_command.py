"""`crt laws` reports what was checked, and fails for a law that is broken, unchecked or excused without need."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import attrs
import pytest
from click.testing import CliRunner, Result
from hypothesis import strategies as st

from crt_basics.bottlenecks.specs import FSQ
from crt_basics.experiments.specs import Compression
from crt_cli.commands import main
from crt_laws import Checks, check, command, law, trial
from crt_laws.kit import Bench, Where
from crt_laws.laws import bottleneck, experiment
from crt_laws.laws.bottleneck_offenders import after
from crtcore.errors import RunError
from crtcore.hooks import Component
from crtcore.kinds import BottleneckSpec
from crtcore.registry import Registry, discover
from crtcore.spec import Spec

FINITE = "rate-and-loss-are-finite"
IMPLEMENTATION = "its-implementation-is-callable"
CONTINUOUS = {"rate-covers-the-mutual-information", "noisy-distortion-and-rate-cover-the-labels"}


@attrs.frozen(kw_only=True)
class Endless(BottleneckSpec):
    """Codes of infinite rate."""

    def build(self) -> Any:
        return after(lambda output: output._replace(rate=output.rate + float("inf")))(FSQ(levels=(3,)).build().double())


@attrs.frozen(kw_only=True)
class Unbuilt(BottleneckSpec):
    """Cannot be built."""

    def build(self) -> Any:
        raise ImportError("no [/library] here")


@attrs.frozen(kw_only=True)
class Lacking(BottleneckSpec):
    """Needs a library that is not installed."""

    def build(self) -> Any:
        raise RunError("pip install it") from ModuleNotFoundError("no library")


def planted(spec: type[Spec], departs: Mapping[str, str] = MappingProxyType({})) -> Component:
    return Component("planted", spec=spec, summary="", examples=(spec(),), departs=departs)


@pytest.fixture
def crt(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`crt laws ...` where these components are what is installed."""

    def run(*components: Component, words: tuple[str, ...] = ("--json",), broken: tuple[str, ...] = ()) -> Result:
        monkeypatch.setattr(command, "installed", lambda: Registry.of((("here", one) for one in components), broken))
        return CliRunner(env={"COLUMNS": "200"}).invoke(main, ["laws", *words])  # so that no line wraps

    return run


def rows(result: Result, status: int) -> dict[str, dict[str, Any]]:
    """Law to its row in the answer."""
    assert result.exit_code == status, result.output
    return {row["law"]: row for row in json.loads(result.stdout)["laws"]}


def with_law(monkeypatch: pytest.MonkeyPatch, *, least: int, where: Where | None = None) -> None:
    """Makes one law the only one of bottlenecks: it checks numbers from 0 to 9 that are at least `least`."""

    @law("bottleneck", where=where, number=st.integers(0, 9))
    def any_will_do(_: object, number: int) -> Checks:
        """Any number will do."""
        if number >= least:
            yield check(True, f"{number}")

    bench = Bench("bottleneck", bottleneck.subject, (any_will_do,))
    monkeypatch.setattr(trial, "benches", lambda: {"bottleneck": bench})


def test_every_law_that_applies_to_a_component_is_checked() -> None:
    result = CliRunner().invoke(main, ["laws", "fsq", "--json"])

    by_law = rows(result, 0)
    assert list(by_law) == [IMPLEMENTATION, *(law.name for law in bottleneck.LAWS)]
    examples = len(discover().find("bottleneck", "fsq").examples)
    assert {(row["kind"], row["component"]) for row in by_law.values()} == {("bottleneck", "fsq")}
    for name, row in by_law.items():
        if name not in CONTINUOUS:
            assert row["checks"] >= row["tried"] >= examples
            assert row["outcome"] == "holds"


def test_a_law_that_does_not_apply_is_marked_with_the_reason(crt: Callable[..., Result]) -> None:
    by_law = rows(crt(planted(Endless)), 1)

    assert {name for name, row in by_law.items() if row["outcome"] == "not applicable"} == {IMPLEMENTATION, *CONTINUOUS}
    assert by_law[IMPLEMENTATION]["reason"] == "its own `build` calls no implementation"
    for name in CONTINUOUS:
        assert by_law[name]["reason"] == "its codes are discrete"
        assert (by_law[name]["tried"], by_law[name]["checks"]) == (0, 0)


def test_a_broken_law_fails_with_demand_observation_and_command(crt: Callable[..., Result]) -> None:
    by_law = rows(crt(planted(Endless)), 1)

    reason = by_law[FINITE]["reason"]
    assert by_law[FINITE]["outcome"] == "fails"
    assert reason.startswith("Endless(): demands: The rate is finite and never negative, and the loss is finite; ")
    assert "observed: rates [inf], where batch=Batch(seed=0, samples=1, places=1, scale=0.3)" in reason
    assert reason.endswith(f"; reproduce: crt laws bottleneck/planted --law {FINITE}")
    assert by_law["ids-are-in-range"]["outcome"] == "holds"


def test_one_law_is_tested_alone(crt: Callable[..., Result]) -> None:
    by_law = rows(crt(planted(Endless), words=("bottleneck/planted", "--law", FINITE, "--json")), 1)

    assert list(by_law) == [FINITE]


def test_a_law_that_does_not_exist_is_refused_with_the_nearest(crt: Callable[..., Result]) -> None:
    result = crt(planted(FSQ), words=("planted", "--law", "ids-are-in-rnge", "--json"))

    assert result.exit_code == 2
    assert "did you mean 'ids-are-in-range'?" in json.loads(result.stdout)["error"]


def test_the_demands_of_each_law_are_explained(crt: Callable[..., Result]) -> None:
    by_law = rows(crt(planted(FSQ), words=("planted", "--explain", "--json")), 0)

    assert [row["demands"] for row in by_law.values()][1:] == [law.statement for law in bottleneck.LAWS]
    assert {name for name, row in by_law.items() if not row["applies"]} == CONTINUOUS
    assert by_law[min(CONTINUOUS)]["reason"] == "its codes are discrete"


def test_a_person_reads_the_demands_as_a_table(crt: Callable[..., Result]) -> None:
    result = crt(planted(FSQ), words=("planted", "--explain"))

    assert result.exit_code == 0
    assert "The lookup of the ids returns the codes." in result.stdout
    assert "no: its codes are discrete" in result.stdout


def test_a_declared_departure_is_reported_and_does_not_fail(crt: Callable[..., Result]) -> None:
    by_law = rows(crt(planted(Endless, {FINITE: "it is endless (#1)"})), 0)

    assert (by_law[FINITE]["outcome"], by_law[FINITE]["reason"]) == ("departs", "it is endless (#1)")


def test_a_departure_from_a_law_that_holds_fails(crt: Callable[..., Result]) -> None:
    by_law = rows(crt(planted(FSQ, {FINITE: "once it was not"})), 1)

    assert by_law[FINITE]["outcome"] == "unexpectedly holds"
    assert by_law[FINITE]["reason"] == "remove the departure: once it was not"
    assert by_law[FINITE]["tried"] > 0


def test_a_departure_from_a_law_that_does_not_apply_fails(crt: Callable[..., Result]) -> None:
    (name, *_) = CONTINUOUS

    by_law = rows(crt(planted(FSQ, {name: "why not"})), 1)

    assert by_law[name]["outcome"] == "fails"
    assert by_law[name]["reason"] == "not applicable: its codes are discrete (remove the departure: why not)"


def test_a_departure_from_a_law_that_does_not_exist_fails(crt: Callable[..., Result]) -> None:
    by_law = rows(crt(planted(FSQ, {"no-such-law": "why not"})), 1)

    assert by_law["no-such-law"]["outcome"] == "fails"
    assert by_law["no-such-law"]["reason"] == "no law of a bottleneck is called 'no-such-law'"


def test_a_component_that_cannot_be_built_fails_whatever_it_departs_from(crt: Callable[..., Result]) -> None:
    by_law = rows(crt(planted(Unbuilt, {FINITE: "it is endless"})), 1)

    assert {row["outcome"] for name, row in by_law.items() if name != IMPLEMENTATION} == {"fails"}
    assert by_law[FINITE]["reason"] == "Unbuilt(): not built: ImportError: no [/library] here"


def test_a_component_whose_library_is_missing_is_not_installed(crt: Callable[..., Result]) -> None:
    by_law = rows(crt(planted(Lacking)), 1)  # as nothing else was tested

    assert {row["outcome"] for name, row in by_law.items() if name != IMPLEMENTATION} == {"not installed"}
    assert by_law[FINITE]["reason"] == "Lacking(): not built: RunError: pip install it"


@pytest.mark.parametrize("departs", [{}, {"any-will-do": "a reason"}])
def test_a_law_that_checks_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, crt: Callable[..., Result], departs: Mapping[str, str]
) -> None:
    with_law(monkeypatch, least=10)

    by_law = rows(crt(planted(FSQ, departs)), 1)

    assert by_law["any-will-do"]["outcome"] == "fails"
    assert (by_law["any-will-do"]["tried"], by_law["any-will-do"]["checks"]) == (0, 0)
    assert "nothing was checked" in by_law["any-will-do"]["reason"]


def test_a_law_counts_the_examples_in_which_it_checked_something(
    monkeypatch: pytest.MonkeyPatch, crt: Callable[..., Result]
) -> None:
    with_law(monkeypatch, least=4)

    by_law = rows(crt(planted(FSQ)), 0)

    assert 0 < by_law["any-will-do"]["tried"] <= 6  # the numbers from 4 to 9


def test_a_law_that_applies_to_some_examples_names_the_others(
    monkeypatch: pytest.MonkeyPatch, crt: Callable[..., Result]
) -> None:
    with_law(monkeypatch, least=0, where=Where(lambda part: part.vocabulary > 5, "it has few codes"))
    component = Component("planted", spec=FSQ, summary="", examples=(FSQ(levels=(3,)), FSQ(levels=(3, 3))))

    by_law = rows(crt(component), 0)

    assert by_law["any-will-do"]["outcome"] == "holds"
    assert by_law["any-will-do"]["reason"] == "not applicable to 1 of 2 examples: it has few codes"


def test_a_person_reads_outcome_and_reason_of_every_law(crt: Callable[..., Result]) -> None:
    result = crt(planted(Unbuilt), planted(Compression), words=())

    assert result.exit_code == 1
    laws = len(bottleneck.LAWS)
    assert result.stdout.count("no [/library] here") == laws
    sound = len(experiment.LAWS)
    assert f"{laws + sound + 2} laws: {laws} fails, {sound + 1} holds, 1 not applicable" in result.stdout
    assert f"bottleneck/planted: {FINITE}: fails" in result.stderr


@attrs.frozen(kw_only=True)
class Ending(BottleneckSpec):
    """Ends or skips whatever builds it."""

    raised: ClassVar[type[BaseException]]

    def build(self) -> Any:
        raise self.raised


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException, pytest.skip.Exception])
def test_a_component_that_ends_the_process_that_builds_it_fails(
    monkeypatch: pytest.MonkeyPatch, crt: Callable[..., Result], raised: type[BaseException]
) -> None:
    monkeypatch.setattr(Ending, "raised", raised, raising=False)

    by_law = rows(crt(planted(Ending)), 1)

    assert {row["outcome"] for name, row in by_law.items() if name != IMPLEMENTATION} == {"fails"}
    assert raised.__name__ in by_law[FINITE]["reason"]
    assert crt(planted(Ending), words=("--explain", "--json")).exit_code == 0


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException, pytest.skip.Exception])
def test_a_component_that_ends_the_process_that_calls_it_fails(
    monkeypatch: pytest.MonkeyPatch, crt: Callable[..., Result], raised: type[BaseException]
) -> None:
    def end(_: object, number: int) -> Checks:
        """It ends."""
        raise raised
        yield

    bench = Bench("bottleneck", bottleneck.subject, (law("bottleneck", number=st.integers(0, 9))(end),))
    monkeypatch.setattr(trial, "benches", lambda: {"bottleneck": bench})

    by_law = rows(crt(planted(FSQ)), 1)

    assert by_law["end"]["outcome"] == "fails"
    assert raised.__name__ in by_law["end"]["reason"]


def test_no_component_at_all_fails(crt: Callable[..., Result]) -> None:
    result = crt()

    assert not rows(result, 1)
    assert "no law was tested" in result.stderr


def test_a_component_to_which_no_law_applies_fails(monkeypatch: pytest.MonkeyPatch, crt: Callable[..., Result]) -> None:
    with_law(monkeypatch, least=0, where=Where(lambda _: False, "never"))

    by_law = rows(crt(planted(FSQ)), 1)

    assert (by_law["any"]["outcome"], by_law["any"]["reason"]) == ("fails", "nothing was checked: no law applies")
    assert "no law was tested" in crt(planted(FSQ), words=("planted", "--law", "any-will-do")).stderr


def test_a_kind_without_laws_fails(monkeypatch: pytest.MonkeyPatch, crt: Callable[..., Result]) -> None:
    monkeypatch.setattr(trial, "benches", lambda: {"bottleneck": Bench("bottleneck", bottleneck.subject)})

    assert rows(crt(planted(FSQ)), 1)["any"]["outcome"] == "fails"


def test_a_law_that_applies_to_no_chosen_component_fails(crt: Callable[..., Result]) -> None:
    result = crt(planted(FSQ), words=("planted", "--law", min(CONTINUOUS), "--json"))

    assert rows(result, 1)[min(CONTINUOUS)]["outcome"] == "not applicable"
    assert "no law was tested" in result.stderr


def test_a_plugin_that_cannot_be_loaded_fails_unless_one_component_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, crt: Callable[..., Result]
) -> None:
    with_law(monkeypatch, least=0)

    result = crt(planted(FSQ), broken=("plugin 'x' of x 0.1 could not be loaded (KeyError: 3)",))

    rows(result, 1)
    assert "not every plugin could be tested: plugin 'x' of x 0.1 could not be loaded (KeyError: 3)" in result.stderr
    rows(crt(planted(FSQ), words=("planted", "--json"), broken=("plugin 'x' could not be loaded",)), 0)


def test_a_name_that_is_not_installed_is_refused_with_the_nearest(crt: Callable[..., Result]) -> None:
    result = crt(planted(FSQ), words=("plantd", "--json"))

    assert result.exit_code == 2
    assert "did you mean 'planted'?" in json.loads(result.stdout)["error"]
