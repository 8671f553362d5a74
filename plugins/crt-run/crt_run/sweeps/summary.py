"""The summary of a study: intervals over seeds, paired differences, claims and gaps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import tomli_w

from crt_run.runs import checkpoint
from crt_run.runs.ended import SPEC
from crt_run.runs.files import write
from crt_run.runs.numbers import number, written
from crt_run.runs.provenance import ran_on, times
from crt_run.runs.records import listed, read_json, seal
from crt_run.runs.run import address, alone
from crt_run.significance import LEVEL, holm, mcnemar, paired_p
from crt_run.statistics import CONFIDENCE, interval, paired, two_level
from crt_run.sweeps.curves import gaps
from crtcore.compose.study import Point, Study, label, labels
from crtcore.kinds import Measurement

if TYPE_CHECKING:
    from crt_run.sweeps.sweep import Finished

SWEEP = "sweep.json"


def gather(study: Study, runs: Path, ended: Finished) -> Path:
    """Writes the summary of the finished points into the sweep's folder, and returns the folder.

    Outcomes of single samples stay with their runs.
    """
    folder = runs / study.name / f"sweep-{study.hash}"
    ran = [
        {
            "arm": point.arm,
            "settings": dict(point.settings),
            "group": point.group,
            "folder": str(address(point.plan, runs).relative_to(runs)),
            "result": _brief(ended.results.get(index)),
            "problem": ended.problems.get(index),
        }
        for index, point in enumerate(study.points)
    ]
    points = table(study.points, ended.results)
    folders = [address(study.points[index].plan, runs) for index in ended.results]
    spec = tomli_w.dumps(dict(study.document)).encode()
    with alone(folder):
        checkpoint.tidy(folder)
        write(folder / SPEC, spec)
        seal(
            folder / SWEEP,
            {
                "name": study.name,
                "hash": study.hash,
                "confidence": CONFIDENCE,
                "baseline": study.baseline,
                "arms": summary(study.points, ended.results, study.baseline),
                "claims": claims(study, ended.results),
                "ran_on": ran_on(folders),
                "times": times(folders),
                "runs": ran,
                **({"points": points} if points else {}),
                **({"gaps": between} if (between := gaps(study.points, ended.results)) else {}),
                "files": {SPEC: hashlib.sha256(spec).hexdigest()},
            },
        )
    return folder


def read_sweep(folder: Path) -> dict[str, Any]:
    """What `gather` wrote.

    Raises: RunError if it is missing, damaged, or something else.
    """
    sweep = read_json(folder / SWEEP, "name", "hash", "arms", "claims", "runs", "ran_on", "files")
    listed(folder, SPEC, sweep)  # that of another study differs
    return sweep


def _brief(result: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if result is None else {k: v for k, v in result.items() if k not in ("format", "outcomes")}


def summary(
    points: Iterable[Point], results: Mapping[int, Mapping[str, Any]], baseline: str
) -> dict[str, dict[str, Any]]:
    """Group to number to mean and interval over seeds, with the paired difference from the arm `baseline`."""
    values = _values(points, results)
    groups: dict[str, dict[str, Any]] = {}
    for (arm, *settings), numbers in values.items():
        groups[", ".join((arm, *settings))] = {
            name: {
                **written(interval(list(by_seed.values()), unit)),
                "difference": None
                if arm == baseline
                else paired(by_seed, values.get((baseline, *settings), {}).get(name, ("", {}))[1], unit),
            }
            for name, (unit, by_seed) in numbers.items()
        }
    return groups


def table(points: Iterable[Point], results: Mapping[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The points of all runs, each with its arm and settings; points of equal labels are averaged over seeds.

    A setting that a label repeats is left out. `seeds` counts the runs that have a point; with one, its numbers keep
    the intervals and the `n` of its run. A number that one of several has is without an interval.
    """
    joined: dict[tuple[str, ...], dict[str, Any]] = {}
    for index, point in enumerate(points):
        for row in results.get(index, {}).get("points", ()):
            own = {path: value for path, value in point.settings.items() if not _is_label(path, value, row["labels"])}
            key = (point.arm, *labels(own), "", *labels(row["labels"]))
            place = {"arm": point.arm, "settings": own, "labels": row["labels"], "seeds": 0, "numbers": {}}
            group = joined.setdefault(key, place)
            group["seeds"] += 1
            for name, each in row["numbers"].items():
                group["numbers"].setdefault(name, []).append(number(each))
    for group in joined.values():
        alone = group["seeds"] == 1
        group["numbers"] = {name: written(_joined(seeds, alone)) for name, seeds in group["numbers"].items()}
    return list(joined.values())


def _is_label(path: str, value: Any, names: Mapping[str, Any]) -> bool:
    """True if a label has the name of the setting's field, and its value."""
    name = path.rpartition(".")[2]
    return name in names and label(names[name]) == label(value)


def _joined(seeds: list[Measurement], alone: bool) -> Measurement:
    return seeds[0] if alone else interval([each.value for each in seeds], seeds[0].unit)


def claims(study: Study, results: Mapping[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each claim of the study with its verdict, once for each combination of settings.

    Their probabilities are corrected together, for all that were measured on two seeds or more; so are those of
    McNemar's test, for all whose outcomes are 0 or 1.
    """
    values, outcomes = _values(study.points, results), _outcomes(study.points, results)
    verdicts: list[dict[str, Any]] = []
    for claim in study.claims:
        groups = {tuple(labels(point.settings)): point.settings for point in study.points if point.arm == claim.arm}
        for key, settings in groups.items():
            arms = [(name, *key) for name in (claim.arm, claim.against)]
            pair = [values.get(arm, {}).get(claim.number, ("", {})) for arm in arms]
            mine, theirs = (outcomes.get(arm, {}).get(claim.number, {}) for arm in arms)
            unit = pair[0][0]
            difference, over_samples = paired(pair[0][1], pair[1][1], unit), two_level(mine, theirs, unit)
            probability, discordant = paired_p(pair[0][1], pair[1][1]), mcnemar(mine, theirs)
            verdicts.append(
                {
                    **attrs.asdict(claim),
                    "settings": dict(settings),
                    "difference": difference,
                    **({} if probability is None else {"test": {"p": probability}}),
                    **({"two_level": written(over_samples)} if over_samples else {}),
                    **({"mcnemar": discordant._asdict()} if discordant else {}),
                }
            )
    for name in ("test", "mcnemar"):
        tests = [each[name] for each in verdicts if name in each]
        for test, corrected in zip(tests, holm([test["p"] for test in tests]), strict=True):
            test |= {"corrected": corrected, "tests": len(tests)}
    return [each | {"verdict": verdict(each["expect"], each["difference"], each.get("test"))} for each in verdicts]


def verdict(expect: str, difference: Mapping[str, Any] | None, test: Mapping[str, Any] | None = None) -> str:
    """Whether a claim holds, by the interval of its paired difference and its corrected probability."""
    if difference is None:
        return "not measured"
    _, _, _, low, high = number(difference)
    if low is None or high is None:
        return "not shown: one seed has no interval"
    if low <= 0 <= high:
        return "does not hold: the interval has 0 inside"
    if (high < 0) != (expect == "lower"):
        return "does not hold: the difference goes the other way"
    if test is not None and test["corrected"] > LEVEL:
        return f"does not hold among {test['tests']} claims, only alone"
    return "holds"


def _values(
    points: Iterable[Point], results: Mapping[int, Mapping[str, Any]]
) -> dict[tuple[str, ...], dict[str, tuple[str, dict[int, float]]]]:
    """Arm and settings to number to its unit and its value by seed."""
    values: dict[tuple[str, ...], dict[str, tuple[str, dict[int, float]]]] = {}
    for index, point in enumerate(points):
        if index not in results:
            continue
        numbers = values.setdefault((point.arm, *labels(point.settings)), {})
        for name, each in results[index]["numbers"].items():
            value, unit, *_ = number(each)
            numbers.setdefault(name, (unit, {}))[1][point.plan.seed] = value
    return values


def _outcomes(
    points: Iterable[Point], results: Mapping[int, Mapping[str, Any]]
) -> dict[tuple[str, ...], dict[str, dict[int, list[float]]]]:
    """Arm and settings to number to its outcomes, one for each sample, by seed."""
    outcomes: dict[tuple[str, ...], dict[str, dict[int, list[float]]]] = {}
    for index, point in enumerate(points):
        for name, each in results.get(index, {}).get("outcomes", {}).items():
            own = outcomes.setdefault((point.arm, *labels(point.settings)), {})
            own.setdefault(name, {})[point.plan.seed] = each
    return outcomes
