"""One self-contained HTML page for a run or a sweep, and the figures beside it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from crtcore.checkpoint import write
from crtcore.errors import RunError
from crtcore.report import figures, tables
from crtcore.run import RESULT, ran_on, read_json
from crtcore.sweep import SWEEP

PAGE = "report.html"


def render(folder: Path) -> Path:
    """Draws the figures of a finished run or sweep and writes its page; the page's path.

    Raises: RunError if the folder holds neither.
    """
    if (folder / SWEEP).is_file():
        sweep = read_json(folder / SWEEP, "name", "arms", "claims", "runs", "ran_on")
        if not sweep["arms"]:
            raise RunError(f"{folder}: expected a sweep with a result, found none; give its command again")
        return _sweep(folder, sweep)
    if (folder / RESULT).is_file():
        return _run(folder, read_json(folder / RESULT, "name", "seed", "numbers"))
    raise RunError(f"{folder}: expected the folder of a finished run or sweep ({RESULT} or {SWEEP}), found neither")


def _sweep(folder: Path, sweep: dict[str, Any]) -> Path:
    runs = folder.parent.parent
    done = [run for run in sweep["runs"] if run["result"]]
    by_group: dict[str, list[Path]] = {}
    for run in done:
        by_group.setdefault(run["group"], []).append(runs / run["folder"])
    drawn = [("The trade-off", figures.trade_off(sweep, folder / "trade-off.png"))]
    for group, folders in by_group.items():
        name = f"samples-{figures.file_name(group)}.png"
        drawn.append((f"Samples of {group}, first seed", figures.samples(folders[0], group, folder / name)))
    drawn.append(("How the stages learned", figures.curves(by_group, folder / "curves.png")))
    return _write(folder, "sweep.html.j2", sweep=sweep, drawn=drawn, ran=sweep["ran_on"])


def _run(folder: Path, result: dict[str, Any]) -> Path:
    drawn = [
        ("Samples", figures.samples(folder, result["name"], folder / "samples.png")),
        ("How the stages learned", figures.curves({result["name"]: [folder]}, folder / "curves.png")),
    ]
    return _write(folder, "run.html.j2", result=result, drawn=drawn, ran=ran_on([folder]))


def _write(folder: Path, template: str, *, drawn: list[tuple[str, Path | None]], **values: Any) -> Path:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("crtcore.report"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    helpers: Mapping[str, Any] = {
        "short": tables.short, "spread": tables.spread, "change": tables.change, "label": tables.label,
        "crosses": tables.crosses, "units": tables.units, "verdicts": tables.verdicts,
    }  # fmt: skip
    try:
        spec = (folder / "spec.toml").read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise RunError(f"{folder / 'spec.toml'}: expected the spec of a run ({error})") from None
    shown = [(title, path.name, _inline(path)) for title, path in drawn if path]
    page = environment.get_template(template).render(drawn=shown, spec=spec, **helpers, **values)
    write(folder / PAGE, page.encode())
    return folder / PAGE


def _inline(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
