"""Points as a grid of panels: which panels there are, and that each shows its points."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.figure
import pytest

from crt_report import grid
from crtcore.kinds import Figure

FIGURE = Figure(across="budget", lines="decoder", numbers=("speed", "cost"), columns=("temperature",))
Draw = Callable[..., matplotlib.figure.Figure]


def point(speed: float = 1.0, *, low: float | None = None, high: float | None = None, **labels: Any) -> dict[str, Any]:
    """A point where speed and twice as much cost were measured."""
    ends = {} if low is None else {"low": low, "high": high}
    return {
        "labels": {"decoder": "sd", "budget": 2, "temperature": 0.5, **labels},
        "numbers": {
            "speed": {"value": speed, **ends, "unit": "ids per second", "n": 3},
            "cost": {"value": 2 * speed, "unit": "calls", "n": 3},
        },
    }


def of_sweep(point: dict[str, Any], arm: str, **settings: Any) -> dict[str, Any]:
    """A point as a sweep holds it."""
    return {"arm": arm, "settings": settings, "labels": point["labels"], "seeds": 1, "numbers": point["numbers"]}


POINTS = [
    point(10.0 * budget + (decoder == "rsd") + temperature, decoder=decoder, budget=budget, temperature=temperature)
    for decoder in ("sd", "rsd")
    for budget in (4, 2)
    for temperature in (0.5, 1.0)
]


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch) -> Draw:
    """Draws points, and answers with the figure instead of a file."""
    kept: list[matplotlib.figure.Figure] = []

    def made(points: list[dict[str, Any]], figure: Figure = FIGURE) -> matplotlib.figure.Figure:
        grid.grid(points, figure, Path("unwritten.png"))
        return kept[-1]

    monkeypatch.setattr(grid, "save", lambda canvas, path: kept.append(canvas))
    return made


def titles(canvas: matplotlib.figure.Figure) -> list[str]:
    return [axis.get_title() for axis in canvas.axes if axis.get_title()]


def drawn(axis: Any) -> dict[str, list[tuple[float, float]]]:
    """Colour to the places of its line."""
    lines = [line for line in axis.lines if line.get_marker() != "None"]
    return {line.get_color(): list(zip(*line.get_data(), strict=True)) for line in lines}


def test_a_panel_for_each_number_and_setting(draw: Draw) -> None:
    canvas = draw(POINTS)

    assert titles(canvas) == ["temperature 0.5", "temperature 1.0"]
    assert [axis.get_ylabel() for axis in canvas.axes] == ["speed\n(ids per second)", "", "cost\n(calls)", ""]
    assert [axis.get_xlabel() for axis in canvas.axes] == ["", "", "budget", "budget"]


def test_every_panel_shows_its_own_points_from_left_to_right(draw: Draw) -> None:
    canvas = draw(POINTS)

    shown = [list(drawn(axis).values()) for axis in canvas.axes]
    assert shown == [
        [[(2, 20.5), (4, 40.5)], [(2, 21.5), (4, 41.5)]],
        [[(2, 21.0), (4, 41.0)], [(2, 22.0), (4, 42.0)]],
        [[(2, 41.0), (4, 81.0)], [(2, 43.0), (4, 83.0)]],
        [[(2, 42.0), (4, 82.0)], [(2, 44.0), (4, 84.0)]],
    ]


def test_a_line_looks_alike_in_all_panels_and_in_the_one_legend(draw: Draw) -> None:
    canvas = draw([*POINTS, *(point(decoder="block", temperature=1.0, budget=at) for at in (2, 4))])

    (legend,) = canvas.legends
    hues = [handle.get_color() for handle in legend.get_lines()]
    assert [text.get_text() for text in legend.get_texts()] == ["sd", "rsd", "block"]
    assert [[hue for hue, places in drawn(axis).items() if places] for axis in canvas.axes] == [hues[:2], hues] * 2
    assert all(axis.get_legend() is None for axis in canvas.axes)


def test_as_many_lines_as_there_are_looks_are_distinguished(draw: Draw) -> None:
    canvas = draw([point(decoder=f"d{index}") for index in range(70)])

    looks = {(line.get_color(), line.get_marker()) for line in canvas.legends[0].get_lines()}
    assert len(looks) == 70


def test_axes_are_shared_within_rows_and_columns(draw: Draw) -> None:
    one, two, three, four = draw(POINTS).axes

    assert one.get_shared_y_axes().joined(one, two)
    assert not one.get_shared_y_axes().joined(one, three)
    assert one.get_shared_x_axes().joined(one, three)
    assert not one.get_shared_x_axes().joined(one, two)
    assert three.get_shared_y_axes().joined(three, four)


def test_an_interval_is_drawn_where_there_is_one(draw: Draw) -> None:
    axis, _ = draw([point(5.0, low=4.5, high=7.0), point(6.0, budget=3)]).axes

    bars = [line.get_data() for line in axis.lines if line.get_marker() == "None"]
    assert [(list(across), list(up)) for across, up in bars] == [([2, 2], [4.5, 7.0])]


@pytest.mark.parametrize(("log", "scale"), [(True, "log"), (False, "linear")])
def test_the_horizontal_axis_is_logarithmic_where_it_is_asked_for(draw: Draw, log: bool, scale: str) -> None:
    points = [point(float(at), budget=10**at) for at in (1, 3, 6)]

    canvas = draw(points, FIGURE._replace(log=log))

    assert {axis.get_xscale() for axis in canvas.axes} == {scale}
    assert list(drawn(canvas.axes[0]).values()) == [[(10, 1.0), (1000, 3.0), (10**6, 6.0)]]


def test_several_arms_are_distinguished_by_columns(draw: Draw) -> None:
    points = [of_sweep(point(decoder=decoder), arm) for arm, decoder in (("baseline", "sd"), ("wide", "rsd"))]

    canvas = draw(points)

    assert titles(canvas) == ["temperature 0.5\narm baseline", "temperature 0.5\narm wide"]


def test_a_label_with_the_name_of_what_a_sweep_adds_hides_neither(draw: Draw) -> None:
    canvas = draw([of_sweep(point(arm=own), arm) for arm, own in (("baseline", "left"), ("wide", "left"))])

    assert titles(canvas) == ["temperature 0.5\nsweep's arm baseline", "temperature 0.5\nsweep's arm wide"]


def test_one_arm_is_not_named(draw: Draw) -> None:
    canvas = draw([of_sweep(point(), "baseline")])

    assert titles(canvas) == ["temperature 0.5"]


def test_a_label_that_alone_reports_points_apart_makes_columns(draw: Draw) -> None:
    canvas = draw([of_sweep(point(budget=at), "a", depth=depth) for depth in (1, [2]) for at in (2, 4)])

    assert titles(canvas) == ["temperature 0.5\ndepth 1", "temperature 0.5\ndepth [2]"]


def test_a_label_that_others_decide_makes_no_columns(draw: Draw) -> None:
    canvas = draw([point(depth=at // 2, budget=at) for at in (2, 4, 8)])

    assert titles(canvas) == ["temperature 0.5"]


def test_a_number_that_some_points_lack_is_drawn_where_it_is(draw: Draw) -> None:
    lacking = point(budget=4)
    del lacking["numbers"]["cost"]

    speed, cost = draw([point(), lacking]).axes

    assert [list(drawn(axis).values()) for axis in (speed, cost)] == [[[(2, 1.0), (4, 1.0)]], [[(2, 2.0)]]]


@pytest.mark.parametrize(
    "figure",
    [
        FIGURE._replace(across="decoder"), FIGURE._replace(across="gone"), FIGURE._replace(lines="gone"),
        FIGURE._replace(columns=("gone",)), FIGURE._replace(numbers=("gone",)), FIGURE._replace(lines="speed"),
        FIGURE._replace(across="under", log=True),
    ],
)  # fmt: skip
def test_what_the_points_do_not_have_is_not_drawn(tmp_path: Path, figure: Figure) -> None:
    result = grid.grid([point(under=-1, **each["labels"]) for each in POINTS], figure, tmp_path / "points.png")

    assert result is None
    assert not list(tmp_path.iterdir())


def test_a_full_grid_is_an_image(tmp_path: Path) -> None:
    points = [
        point(low=0.5, high=1.5, decoder=f"d{line}", budget=budget, temperature=column / 4)
        for line in range(8)
        for budget in range(5)
        for column in range(4)
    ]

    path = grid.grid(points, FIGURE, tmp_path / "points.png")

    assert path is not None
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


# A measured number on the horizontal axis

MEASURED = Figure(across="rate", lines="arm", numbers=("loss",), along="weight", references=("frontier", "floor"))


def measured(arm: str | None, weight: float, rate: float, loss: float, settings: Any = None) -> dict[str, Any]:
    """A point of a curve, an eighth of uncertainty about its rate and a quarter about its loss, over a floor."""

    def number(value: float, half: float) -> dict[str, Any]:
        return {"value": value, "low": value - half, "high": value + half, "unit": "nats", "n": 9}

    sweep = {} if arm is None else {"arm": arm, "settings": settings or {}, "seeds": 3}
    numbers = {"rate": number(rate, 0.125), "loss": number(loss, 0.25), "floor": number(3 - rate, 0.0)}
    return {**sweep, "labels": {"weight": weight}, "numbers": numbers}


CURVES = [
    measured(arm, weight, rate, 5 - rate + (arm == "b"))
    for arm in "ab"
    for weight, rate in ((0.9, 0.5), (0.1, 2.0), (0.5, 1.0))
]


def test_a_curve_stands_where_it_was_measured_from_left_to_right(draw: Draw) -> None:
    (axis,) = draw(CURVES, MEASURED).axes

    assert list(drawn(axis).values())[:2] == [
        [(0.5, 4.5), (1.0, 4.0), (2.0, 3.0)],
        [(0.5, 5.5), (1.0, 5.0), (2.0, 4.0)],
    ]
    assert axis.get_xlabel() == "rate (nats)"


def test_intervals_are_drawn_both_ways(draw: Draw) -> None:
    (axis,) = draw([measured("a", 0.5, 1.0, 4.0)], MEASURED).axes

    bars = [tuple(map(tuple, line.get_data())) for line in axis.lines if len(line.get_xdata()) == 2]
    assert set(bars) == {((1.0, 1.0), (3.75, 4.25)), ((0.875, 1.125), (4.0, 4.0))}


def test_a_reference_is_one_line_through_the_points_of_all_arms(draw: Draw) -> None:
    points = [measured("a", 0.5, 1.0, 4.0), measured("b", 0.5, 0.5, 4.0), measured("a", 0.1, 2.0, 4.0)]

    canvas = draw(points, MEASURED)

    (line,) = [each for each in canvas.axes[0].lines if each.get_color() == "black" and len(each.get_xdata())]
    assert list(zip(*line.get_data(), strict=True)) == [(0.5, 2.5), (1.0, 2.0), (2.0, 1.0)]
    assert [text.get_text() for text in canvas.legends[0].get_texts()] == ["a", "b", "floor (nats)"]


def test_a_run_of_its_own_has_one_curve(draw: Draw) -> None:
    canvas = draw([measured(None, weight, 1 / weight, 4.0) for weight in (0.25, 0.5)], MEASURED)

    assert next(iter(drawn(canvas.axes[0]).values())) == [(2.0, 4.0), (4.0, 4.0)]
    assert [text.get_text() for text in canvas.legends[0].get_texts()] == ["measured", "floor (nats)"]


def test_grid_values_keep_curves_apart(draw: Draw) -> None:
    points = [measured("a", weight, 1.0, 4.0, {"n": n}) for n in (1, 2) for weight in (0.1, 0.9)]

    assert titles(draw(points, MEASURED)) == ["n 1", "n 2"]
