"""The report: one self-contained HTML page for a run or a sweep, and its figures as files."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import tomli

from crt_report import figures
from crt_report.across import across
from crt_report.grid import grid
from crt_report.plane import plane
from crt_run.present import tables
from crt_run.present.sentences import sentences
from crt_run.runs.files import write
from crt_run.runs.numbers import number
from crt_run.runs.provenance import ran_on
from crt_run.runs.records import RESULT, read_json
from crt_run.sweeps.summary import SWEEP
from crtcore.errors import RunError
from crtcore.kinds import ExperimentSpec
from crtcore.registry import NotInstalled, discover

PAGE = "report.html"


def render(folder: Path) -> Path:
    """Draws the figures of a finished run or sweep, writes its page, and returns the page's path.

    Raises: RunError if the folder is that of neither.
    """
    if (folder / SWEEP).is_file():
        sweep = read_json(folder / SWEEP, "name", "arms", "claims", "runs", "ran_on")
        if not sweep["arms"]:
            raise RunError(f"{folder}: expected a sweep with a result, got none; give its command again")
        return _sweep(folder, sweep)
    if (folder / RESULT).is_file():
        return _run(folder, read_json(folder / RESULT, "name", "seed", "numbers"))
    raise RunError(f"{folder}: expected the folder of a finished run or sweep ({RESULT} or {SWEEP}), got neither")


def _sweep(folder: Path, sweep: dict[str, Any]) -> Path:
    runs = folder.parent.parent
    done = [run for run in sweep["runs"] if run["result"]]
    by_group: dict[str, list[Path]] = {}
    for run in done:
        by_group.setdefault(run["group"], []).append(runs / run["folder"])
    drawn, notes = _grids(folder, sweep)
    setting, path = across(sweep, _spec(folder), folder / "across.png")
    drawn.append((f"Numbers across {setting}", path))
    drawn += _trade_offs(folder, sweep)
    for group, folders in by_group.items():
        name = f"samples-{figures.file_name(group)}.png"
        drawn.append((f"Samples of {group}, first seed", figures.samples(folders[0], group, folder / name)))
    drawn.append(("Learning curves", figures.curves(by_group, folder / "curves.png")))
    points = sweep.get("points")
    return _write(
        folder, "sweep.html.j2", sweep=sweep, points=points, sentences=sentences(sweep), gaps=sweep.get("gaps"),
        drawn=drawn, notes=notes, ran=sweep["ran_on"],
    )  # fmt: skip


def _run(folder: Path, result: dict[str, Any]) -> Path:
    drawn, notes = _grids(folder, result)
    drawn += [
        ("Samples", figures.samples(folder, result["name"], folder / "samples.png")),
        ("Learning curves", figures.curves({result["name"]: [folder]}, folder / "curves.png")),
    ]
    points = result.get("points")
    return _write(
        folder, "run.html.j2", result=result, points=points, sentences=sentences(result), gaps=None,
        drawn=drawn, notes=notes, ran=ran_on([folder]),
    )  # fmt: skip


def _grids(folder: Path, values: Mapping[str, Any]) -> tuple[list[tuple[str, Path | None]], list[str]]:
    """The figures of the points with their titles, and notes on those that were not drawn.

    Raises: RunError if the folder lacks its spec.
    """
    if "points" not in values:
        return [], []
    try:
        experiment = _experiment(folder)
    except NotInstalled as error:
        return [], [f"Not drawn: {error.args[0]}"]
    drawn = [
        (
            f"{', '.join(map(tables.label, figure.numbers))} across {tables.label(figure.across)}",
            grid(values["points"], figure, folder / f"points-{index}.png"),
        )
        for index, figure in enumerate(experiment.figures, 1)
    ]
    return drawn, [
        f"Not drawn: {title}, as the points have other labels or numbers" for title, path in drawn if not path
    ]


def _trade_offs(folder: Path, sweep: Mapping[str, Any]) -> list[tuple[str, Path | None]]:
    """The figures of the experiment's trade-offs, with their titles; none if it is not installed."""
    try:
        traded = _experiment(folder).trade_offs
    except NotInstalled:
        return []
    alone = [each for each in traded if each.joined is None]
    return [
        (
            f"{tables.label(each.up)} against {tables.label(each.across)}",
            plane(sweep, _spec(folder), each, folder / f"plane-{index}.png"),
        )
        for index, each in enumerate((each for each in traded if each.joined), 1)
    ] + [("The trade-off", figures.trade_offs(sweep, alone, folder / "trade-off.png"))]


def _experiment(folder: Path) -> type[ExperimentSpec]:
    """The experiment that the spec of a folder uses.

    Raises: NotInstalled if it is not installed.
    """
    try:
        name = tomli.loads(_spec(folder))["experiment"]["use"]
    except (ValueError, LookupError, TypeError):
        name = None
    experiment = discover().find("experiment", str(name)).spec
    assert issubclass(experiment, ExperimentSpec)
    return experiment


def _spec(folder: Path) -> str:
    try:
        return (folder / "spec.toml").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RunError(f"{folder / 'spec.toml'}: expected the spec of a run ({error})") from None


def _write(folder: Path, template: str, *, drawn: list[tuple[str, Path | None]], **values: Any) -> Path:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("crt_report"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    helpers: Mapping[str, Any] = {
        "short": tables.short, "spread": tables.spread, "change": tables.change, "label": tables.label,
        "crosses": tables.crosses, "units": tables.units, "verdicts": tables.verdicts,
        "columns": tables.columns, "place": tables.place, "measured": tables.measured,
        "span": tables.span, "number": number, "together": tables.together,
    }  # fmt: skip
    shown = [(title, path.name, _inline(path)) for title, path in drawn if path]
    page = environment.get_template(template).render(drawn=shown, spec=_spec(folder), **helpers, **values)
    write(folder / PAGE, page.encode())
    return folder / PAGE


def _inline(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
