"""The summary of a study: intervals over seeds, paired differences, claims and gaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs
import tomli_w

from crt_run.runs.files import write, write_json
from crt_run.runs.provenance import ran_on
from crt_run.runs.run import address
from crt_run.statistics import CONFIDENCE, interval, paired, two_level
from crt_run.sweeps.curves import gaps
from crt_run.sweeps.points import parted
from crt_run.sweeps.sweep import Finished
from crtcore.compose.study import BASELINE, Point, Study

SWEEP = "sweep.json"


def gather(study: Study, runs: Path, ended: Finished) -> Path:
    """Writes the summary of the finished points into the sweep's folder, and returns the folder.

    Outcomes of single samples stay with their runs.
    """
    folder = runs / study.name / f"sweep-{study.hash}"
    ran = [
        {
            "arm": point.arm,
            "grid": list(point.grid),
            "group": point.group,
            "folder": str(address(point.plan, runs).relative_to(runs)),
            "result": _brief(ended.results.get(index)),
            "problem": ended.problems.get(index),
        }
        for index, point in enumerate(study.points)
    ]
    points = table(study.points, ended.results)
    write_json(
        folder / SWEEP,
        {
            "name": study.name,
            "confidence": CONFIDENCE,
            "baseline": BASELINE,
            "arms": summary(study.points, ended.results),
            "claims": claims(study, ended.results),
            "ran_on": ran_on(address(study.points[index].plan, runs) for index in ended.results),
            "runs": ran,
            **({"points": points} if points else {}),
            **({"gaps": between} if (between := gaps(study.points, ended.results)) else {}),
        },
    )
    write(folder / "spec.toml", tomli_w.dumps(dict(study.document)).encode())
    return folder


def _brief(result: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if result is None else {name: value for name, value in result.items() if name != "outcomes"}


def summary(points: Iterable[Point], results: Mapping[int, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Group to number to mean and interval over seeds, with the paired difference from the baseline arm."""
    values = _values(points, results)
    groups: dict[str, dict[str, Any]] = {}
    for (arm, grid), numbers in values.items():
        groups[", ".join((arm, *grid))] = {
            name: {
                "unit": unit,
                **interval(list(by_seed.values())),
                "difference": None
                if arm == BASELINE
                else paired(by_seed, values.get((BASELINE, grid), {}).get(name, ("", {}))[1]),
            }
            for name, (unit, by_seed) in numbers.items()
        }
    return groups


def table(points: Iterable[Point], results: Mapping[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The points of all runs, each with arm and grid values; points of equal labels are averaged over seeds."""
    groups: dict[tuple[tuple[str, Any], ...], dict[str, list[dict[str, Any]]]] = {}
    for index, point in enumerate(points):
        for row in results.get(index, {}).get("points", ()):
            labels, numbers = parted(row)
            grid = ", ".join(value for value in point.grid if not _is_label(value, labels))
            joined = groups.setdefault((("arm", point.arm), ("grid", grid), *labels.items()), {})
            for name, number in numbers.items():
                joined.setdefault(name, []).append(number)
    gridded = any(dict(labels)["grid"] for labels in groups)
    return [
        {name: value for name, value in labels if gridded or name != "grid"}
        | {name: _joined(seeds) for name, seeds in numbers.items()}
        for labels, numbers in groups.items()
    ]


def _is_label(setting: str, labels: Mapping[str, Any]) -> bool:
    """True if a label has the name and value of a grid value `path=value`."""
    path, _, value = setting.partition("=")
    return str(labels.get(path.rpartition(".")[2])) == value


def _joined(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """A point's number over seeds; with one seed it keeps the interval over samples."""
    over = interval([number["mean"] for number in seeds]) if len(seeds) > 1 else {"seeds": 1}
    return {**seeds[0], **over, "samples": sum(number["samples"] for number in seeds)}


def claims(study: Study, results: Mapping[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each claim of the study with its verdict, once for each value of the grid."""
    values, outcomes = _values(study.points, results), _outcomes(study.points, results)
    verdicts = []
    for claim in study.claims:
        for grid in dict.fromkeys(point.grid for point in study.points if point.arm == claim.arm):
            pair = [values.get((name, grid), {}).get(claim.number, ("", {}))[1] for name in (claim.arm, claim.against)]
            each = [outcomes.get((name, grid), {}).get(claim.number, {}) for name in (claim.arm, claim.against)]
            difference, over_samples = paired(*pair), two_level(*each)
            verdicts.append(
                {
                    **attrs.asdict(claim),
                    "grid": list(grid),
                    "difference": difference,
                    **({"two_level": over_samples} if over_samples else {}),
                    "verdict": verdict(claim.expect, difference),
                }
            )
    return verdicts


def verdict(expect: str, difference: Mapping[str, Any] | None) -> str:
    """Whether a claim holds, by the interval of its paired difference."""
    if difference is None:
        return "not measured"
    if difference["low"] is None:
        return "not shown: one seed has no interval"
    low, high = difference["low"], difference["high"]
    if low <= 0 <= high:
        return "does not hold: the interval has 0 inside"
    return "holds" if (high < 0) == (expect == "lower") else "does not hold: the difference goes the other way"


def _values(
    points: Iterable[Point], results: Mapping[int, Mapping[str, Any]]
) -> dict[tuple[str, tuple[str, ...]], dict[str, tuple[str, dict[int, float]]]]:
    """(Arm, grid) to number to its unit and its value by seed."""
    values: dict[tuple[str, tuple[str, ...]], dict[str, tuple[str, dict[int, float]]]] = {}
    for index, point in enumerate(points):
        if index not in results:
            continue
        numbers = values.setdefault((point.arm, point.grid), {})
        for name, number in results[index]["numbers"].items():
            numbers.setdefault(name, (number["unit"], {}))[1][point.plan.seed] = number["value"]
    return values


def _outcomes(
    points: Iterable[Point], results: Mapping[int, Mapping[str, Any]]
) -> dict[tuple[str, tuple[str, ...]], dict[str, dict[int, list[float]]]]:
    """(Arm, grid) to number to its outcomes, one for each sample, by seed."""
    outcomes: dict[tuple[str, tuple[str, ...]], dict[str, dict[int, list[float]]]] = {}
    for index, point in enumerate(points):
        for name, each in results.get(index, {}).get("outcomes", {}).items():
            outcomes.setdefault((point.arm, point.grid), {}).setdefault(name, {})[point.plan.seed] = each
    return outcomes
