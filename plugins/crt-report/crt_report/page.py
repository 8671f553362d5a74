"""The report: one self-contained HTML page for a run or a sweep, and its figures as files."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import tomli

from crt_report import figures
from crt_report.across import across
from crt_report.grid import grid
from crt_report.plane import plane
from crt_run.present import tables
from crt_run.present.meanings import KEY, directed, explained
from crt_run.present.sentences import sentences
from crt_run.runs import checkpoint, files
from crt_run.runs.ended import SPEC, Ended
from crt_run.runs.numbers import number
from crt_run.runs.provenance import ran_on, times
from crt_run.runs.records import RESULT, listed
from crt_run.runs.run import alone
from crt_run.sweeps.summary import SWEEP, read_sweep
from crtcore.errors import RunError
from crtcore.kinds import ExperimentSpec
from crtcore.registry import NotInstalled, discover

PAGE = "report.html"


class Page(NamedTuple):
    """A page that was written."""

    path: Path
    problems: tuple[str, ...] = ()
    """The runs that its figures lack, as files of theirs are damaged or missing."""


def render(folder: Path) -> Page:
    """Draws the figures of a finished run or sweep, and writes its page.

    A run of a sweep with a damaged file is left out of the figures that need one, and named.
    Raises: RunError if the folder is that of neither, or a file of its own is damaged.
    """
    with files.reading(folder):
        swept, single = (folder / SWEEP).exists(), (folder / RESULT).exists()
    if not (swept or single):
        raise RunError(
            f"{folder}: expected the folder of a finished run or sweep ({RESULT} or {SWEEP}), got neither; "
            "give the command that makes it again"
        )
    draw = partial(_sweep, folder, read_sweep(folder)) if swept else partial(_run, folder, Ended(folder))
    with alone(folder):
        checkpoint.tidy(folder)
        return draw()


def _sweep(folder: Path, sweep: dict[str, Any]) -> Page:
    if not sweep["arms"]:
        raise RunError(f"{folder}: expected a sweep with a result, got none; give its command again")
    spec = listed(folder, SPEC, sweep).decode()
    by_group, problems = _whole(folder.parent.parent, sweep)
    drawn, notes = _grids(spec, sweep, folder)
    setting, path = across(sweep, spec, folder / "across.png")
    drawn.append((f"Numbers across {setting}", path))
    drawn += _trade_offs(spec, sweep, folder)
    for group, ended in by_group.items():
        name = f"samples-{figures.file_name(group)}.png"
        drawn.append((f"Samples of {group}, first seed", figures.samples(ended[0], group, folder / name)))
    drawn.append(("Learning curves", figures.curves(by_group, folder / "curves.png")))
    points = sweep.get("points")
    names = (*tables.units(sweep), *(tables.measured(points) if points else ()))
    page = _write(
        folder, "sweep.html.j2", sweep=sweep, points=points, names=names, when=sweep.get("times", {}),
        sentences=sentences(sweep), gaps=sweep.get("gaps"),
        drawn=drawn, notes=notes, problems=problems, ran=sweep["ran_on"], spec=spec,
    )  # fmt: skip
    return Page(page, tuple(problems))


def _whole(runs: Path, sweep: Mapping[str, Any]) -> tuple[dict[str, list[Ended]], list[str]]:
    """The finished runs of each group whose files are as they were written, and what is wrong with the others."""
    by_group: dict[str, list[Ended]] = {}
    problems = []
    for run in sweep["runs"]:
        if result := run["result"]:
            ended = Ended(runs / run["folder"])
            try:
                if (got := ended.result["hash"]) != result["hash"]:
                    raise RunError(f"{ended.folder}: expected the run {result['hash']!r}, got {got!r}")
                _ = ended.records, ended.samples  # read here, drawn later
                by_group.setdefault(run["group"], []).append(ended)
            except RunError as error:
                problems.append(f"{run['group']}, seed {result['seed']}: {error}")
    return by_group, problems


def _run(folder: Path, run: Ended) -> Page:
    result, spec = run.result, run.spec
    drawn, notes = _grids(spec, result, folder)
    drawn += [
        ("Samples", figures.samples(run, result["name"], folder / "samples.png")),
        ("Learning curves", figures.curves({result["name"]: [run]}, folder / "curves.png")),
    ]
    points = result.get("points")
    names = (*result["numbers"], *(tables.measured(points) if points else ()))
    page = _write(
        folder, "run.html.j2", result=result, points=points, names=names, when=times([folder]),
        sentences=sentences(result), gaps=None,
        drawn=drawn, notes=notes, ran=ran_on([folder]), spec=spec,
    )  # fmt: skip
    return Page(page)


def _grids(spec: str, values: Mapping[str, Any], folder: Path) -> tuple[list[tuple[str, Path | None]], list[str]]:
    """The figures of the points with their titles, and notes on those that were not drawn."""
    if "points" not in values:
        return [], []
    try:
        experiment = _experiment(spec)
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


def _trade_offs(spec: str, sweep: Mapping[str, Any], folder: Path) -> list[tuple[str, Path | None]]:
    """The figures of the experiment's trade-offs, with their titles; none if it is not installed."""
    try:
        traded = _experiment(spec).trade_offs
    except NotInstalled:
        return []
    alone = [each for each in traded if each.joined is None]
    return [
        (
            f"{tables.label(each.up)} against {tables.label(each.across)}",
            plane(sweep, spec, each, folder / f"plane-{index}.png"),
        )
        for index, each in enumerate((each for each in traded if each.joined), 1)
    ] + [("The trade-off", figures.trade_offs(sweep, alone, folder / "trade-off.png"))]


def _experiment(spec: str) -> type[ExperimentSpec]:
    """The experiment that a spec file uses.

    Raises: NotInstalled if it is not installed.
    """
    try:
        name = tomli.loads(spec)["experiment"]["use"]
    except (ValueError, LookupError, TypeError):
        name = None
    experiment = discover().find("experiment", str(name)).spec
    assert issubclass(experiment, ExperimentSpec)
    return experiment


def _write(
    folder: Path, template: str, *, drawn: list[tuple[str, Path | None]], names: Iterable[str], spec: str, **values: Any
) -> Path:
    """Writes the page; `names` are those of all numbers that it shows."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("crt_report"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    helpers: Mapping[str, Any] = {
        "short": tables.short, "spread": tables.spread, "change": tables.change, "label": tables.label,
        "crosses": tables.crosses, "units": tables.units, "verdicts": tables.verdicts,
        "columns": tables.columns, "place": tables.place, "measured": tables.measured,
        "span": tables.span, "number": number, "together": tables.together, "directed": directed, "key": KEY,
    }  # fmt: skip
    shown = [(title, path.name, _inline(path)) for title, path in drawn if path]
    meanings = explained(names, spec, discover())
    page = environment.get_template(template).render(drawn=shown, meanings=meanings, spec=spec, **helpers, **values)
    files.write(folder / PAGE, page.encode())
    return folder / PAGE


def _inline(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
