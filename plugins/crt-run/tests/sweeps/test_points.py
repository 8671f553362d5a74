"""Points: checked before they are written in result.json, gathered and joined over seeds in sweep.json."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crt_run.runs.execute import execute
from crt_run.runs.numbers import number, written, written_rows
from crt_run.runs.records import RESULT
from crt_run.runs.run import address
from crt_run.statistics import interval
from crt_run.sweeps.summary import gather, table
from crt_run.sweeps.sweep import Finished, run
from crtcore.compose.study import Study
from crtcore.errors import RunError
from crtcore.kinds import Experiment, ExperimentSpec, Findings, Measurement, Row

Describe = Callable[..., Study]
BITS = Measurement(1.5, "bits", 3)
LABELS = st.text(max_size=3) | st.integers(-9, 9) | st.floats(-9, 9)


@attrs.frozen(kw_only=True)
class Left(ExperimentSpec):
    """Leaves the rows it is given."""

    rows: tuple[Row, ...]

    def build(self) -> Experiment:
        return lambda plan, run: Findings({}, self.rows)


def silent(index: int, event: Any) -> None:
    """Takes events."""


# Of a run


def test_a_point_is_labels_and_numbers() -> None:
    rows = [Row({"decoder": "sd", "budget": 30}, {"cost": Measurement(2.0, "bits", 7, 1.0, 4.0), "size": BITS})]

    (point,) = written_rows(rows)

    assert point == {
        "labels": {"decoder": "sd", "budget": 30},
        "numbers": {
            "cost": {"value": 2.0, "low": 1.0, "high": 4.0, "unit": "bits", "n": 7},
            "size": {"value": 1.5, "unit": "bits", "n": 3},
        },
    }


def test_a_number_comes_back_as_it_was() -> None:
    for each in (BITS, Measurement(2.0, "bits", 7, 1.0, 4.0)):
        assert number({**json.loads(json.dumps(written(each))), "difference": None}) == each


def test_no_name_is_reserved() -> None:
    (point,) = written_rows([Row({"arm": "wide", "cost": 1}, {"cost": BITS, "settings": BITS})])

    assert (list(point["labels"]), list(point["numbers"])) == (["arm", "cost"], ["cost", "settings"])


@given(st.lists(st.tuples(LABELS, LABELS), unique=True, max_size=5))
def test_labels_come_back_as_they_were(places: list[tuple[Any, Any]]) -> None:
    rows = [Row({"a": a, "b": b}, {"cost": BITS}) for a, b in places]

    output = json.loads(json.dumps(written_rows(rows)))

    labels = [point["labels"] for point in output]
    assert labels == [dict(row.labels) for row in rows]
    assert [[type(value) for value in own.values()] for own in labels] == [[type(a), type(b)] for a, b in places]


def test_labels_stand_in_the_order_of_the_first_point() -> None:
    output = written_rows([Row({"a": 1, "b": 2}, {}), Row({"b": 1, "a": 2}, {})])

    assert [list(point["labels"].items()) for point in output] == [[("a", 1), ("b", 2)], [("a", 2), ("b", 1)]]


PLANTED: dict[str, tuple[tuple[Row, ...], str]] = {
    "not a number": (
        (Row({"budget": 30}, {"cost": Measurement(math.nan, "bits", 3)}),),
        "point budget=30: number 'cost': expected a finite value and interval, got nan",
    ),
    "an endless interval": (
        (Row({"budget": 30}, {"cost": Measurement(1.0, "bits", 3, 0.0, math.inf)}),),
        "point budget=30: number 'cost': expected a finite value and interval, got inf",
    ),
    "the same labels": (
        (Row({"decoder": "sd", "budget": 1}, {}), Row({"budget": 1.0, "decoder": "sd"}, {})),
        "point budget=1.0, decoder='sd': expected unique labels, got those of another point",
    ),
    "a label too many": (
        (Row({"budget": 1}, {}), Row({"budget": 2, "depth": 3}, {})),
        "point budget=2, depth=3: expected the labels of the first point, budget",
    ),
    "a label too few": (
        (Row({"budget": 1}, {}), Row({}, {})),
        "point without labels: expected the labels of the first point, budget",
    ),
    "a label that is no number": (
        (Row({"budget": math.nan}, {}),),
        "point budget=nan: label 'budget': expected text or a finite number, got nan",
    ),
    "a label of another type": (
        (Row({"draft": True}, {}),),
        "point draft=True: label 'draft': expected text or a finite number, got True",
    ),
}


@pytest.mark.parametrize("sort", PLANTED)
def test_a_wrong_point_is_named_and_no_result_written(scan: Describe, runs: Path, sort: str) -> None:
    rows, message = PLANTED[sort]
    plan = attrs.evolve(scan().points[0].plan, experiment=Left(rows=rows))

    with pytest.raises(RunError) as caught:
        execute(plan, runs)

    assert str(caught.value) == message
    assert not (address(plan, runs) / RESULT).exists()


def test_a_run_without_points_says_nothing_of_them(scan: Describe, runs: Path) -> None:
    plan = attrs.evolve(scan().points[0].plan, experiment=Left(rows=()))

    result = execute(plan, runs)

    assert result.keys() == {"format", "name", "hash", "seed", "numbers"}


def test_a_run_s_result_holds_its_points(scan: Describe, runs: Path) -> None:
    plan = scan().points[0].plan

    execute(plan, runs)

    output = json.loads((address(plan, runs) / RESULT).read_bytes())["points"]
    assert [(*point["labels"].values(), point["numbers"]["speed"]["value"]) for point in output] == [
        ("a", 2, 0.5, 20.0), ("b", 2, 0.5, 21.0), ("a", 4, 0.5, 40.0), ("b", 4, 0.5, 41.0)
    ]  # fmt: skip


# Of a sweep


def gathered(study: Study, runs: Path) -> Any:
    """The points in the sweep's file."""
    return json.loads((gather(study, runs, run(study, runs, silent)) / "sweep.json").read_bytes())["points"]


def test_one_seed_keeps_the_interval_of_its_run(scan: Describe, runs: Path) -> None:
    first, *_ = gathered(scan("sweep.seed=[3]"), runs)

    assert first["seeds"] == 1
    assert first["numbers"] == {
        "speed": {"value": 23.0, "low": 22.75, "high": 23.25, "unit": "ids per second", "n": 100},
        "accepted": {"value": 1.0, "unit": "ids", "n": 50},
    }


def test_three_seeds_are_joined(scan: Describe, runs: Path) -> None:
    points = gathered(scan("sweep.seed=[0, 1, 2]"), runs)

    assert points[3] == {
        "arm": "baseline",
        "settings": {},
        "labels": {"decoder": "b", "budget": 4, "temperature": 0.5},
        "seeds": 3,
        "numbers": {
            "speed": written(interval([41.0, 42.0, 43.0], "ids per second")),
            "accepted": written(interval([2.0, 2.0, 2.0], "ids")),
        },
    }


def test_a_seed_without_a_result_is_left_out_and_counted(scan: Describe, runs: Path) -> None:
    study = scan("sweep.seed=[0, 1, 2]")
    results = run(study, runs, silent).results

    output = table(study.points, {index: result for index, result in results.items() if index != 1})

    assert output[0]["numbers"]["speed"] == written(interval([20.0, 22.0], "ids per second"))
    assert output[0]["seeds"] == output[0]["numbers"]["speed"]["n"] == 2


def test_a_point_that_one_seed_lacks_is_that_of_the_others(scan: Describe, runs: Path) -> None:
    study = scan("sweep.seed=[0, 1]")
    results = run(study, runs, silent).results
    results[1] = {**results[1], "points": results[1]["points"][1:]}

    output = table(study.points, results)

    assert [point["seeds"] for point in output] == [1, 2, 2, 2]
    speed = output[0]["numbers"]["speed"]
    assert (speed["low"], speed["high"]) == (19.75, 20.25)


def test_a_number_that_one_of_two_seeds_has_is_without_an_interval(scan: Describe, runs: Path) -> None:
    study = scan("sweep.seed=[0, 1]")
    results = run(study, runs, silent).results
    first, *others = results[1]["points"]
    fewer = {**first, "numbers": {name: each for name, each in first["numbers"].items() if name != "speed"}}
    results[1] = {**results[1], "points": [fewer, *others]}

    point = table(study.points, results)[0]

    assert point["seeds"] == 2
    assert point["numbers"]["speed"] == {"value": 20.0, "unit": "ids per second", "n": 1}  # not that over its samples


def test_arms_are_distinguished(scan: Describe, runs: Path) -> None:
    study = scan("sweep.arms={baseline = {}, other = {'experiment.faster' = 5.0}}", "sweep.seed=[0, 1]")

    points = gathered(study, runs)

    assert [point["arm"] for point in points] == ["baseline"] * 4 + ["other"] * 4
    assert points[4]["numbers"]["speed"]["value"] - points[0]["numbers"]["speed"]["value"] == 5.0


def test_settings_that_no_label_repeats_are_reported(scan: Describe, runs: Path) -> None:
    points = gathered(scan("sweep.experiment.faster=[0.0, 5.0]", "sweep.seed=[0, 1]"), runs)

    assert [point["settings"] for point in points[::4]] == [{"experiment.faster": 0.0}, {"experiment.faster": 5.0}]


def test_a_setting_that_a_label_repeats_is_left_out(scan: Describe, runs: Path) -> None:
    points = gathered(scan("sweep.sampling.temperature=[0.5]"), runs)

    assert [point["settings"] for point in points] == [{}] * 4


def test_a_label_with_another_value_hides_no_setting(scan: Describe, runs: Path) -> None:
    points = gathered(scan("sweep.sampling.temperature=[0.5, 0.75]"), runs)

    assert [point["settings"] for point in points] == [{}] * 4 + [{"sampling.temperature": 0.75}] * 4
    assert {point["seeds"] for point in points} == {1}


def test_a_sweep_without_points_says_nothing_of_them(scan: Describe, runs: Path) -> None:
    study = scan("sweep.seed=[0, 1]")

    folder = gather(study, runs, Finished({}, {0: "broke", 1: "broke"}))

    assert "points" not in json.loads((folder / "sweep.json").read_bytes())
