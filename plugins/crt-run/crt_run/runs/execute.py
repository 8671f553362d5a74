"""Runs one plan in its folder, from the start or from where it stopped."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import tomli_w
import torch

from crt_run.ranks.group import current
from crt_run.runs import checkpoint, files
from crt_run.runs.code import code_of, components, difference
from crt_run.runs.contents import located, of_plan
from crt_run.runs.ended import SPEC, Ended, hashes
from crt_run.runs.memory import keep_freed
from crt_run.runs.numbers import written_all, written_rows
from crt_run.runs.provenance import git_state, versions
from crt_run.runs.records import ABOUT, FORMAT, RECORDS, RESULT, read_json, read_records, seal
from crt_run.runs.run import Run, address, alone
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Json, Plan, Report
from crtcore.registry import Registry, discover


def finished(plan: Plan, runs: Path) -> dict[str, Any] | None:
    """The result of a plan's finished run; None if it is not finished.

    Raises: RunError if the folder holds something other than a run of that plan.
    """
    folder = address(plan, runs)
    with files.reading(folder):
        there = (folder / RESULT).exists()  # looked at before `run.json`, which is written before it
        _ours(folder, plan)
    return Ended(folder).result if there else None


def outdated(plan: Plan, runs: Path) -> str:
    """How the code that made a plan's result differs from what is installed now; empty if it does not."""
    return difference(Ended(address(plan, runs)).about["code"], code_of(plan))


def execute(
    plan: Plan, runs: Path, report: Report = lambda event: None, stopping: Callable[[], bool] = lambda: False,
    *, fresh: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Runs a plan from the start or from where it stopped, or reads its result if it is finished.

    A fresh run does again what other code made.
    Raises: RunError if it cannot go on, Stopped after a save if `stopping` returns True.
    """
    keep_freed()
    plan = of_plan(plan, runs)
    run = Run(plan, runs, report, stopping, fresh=fresh)
    with alone(run.folder, stopping, run.note):
        result = finished(plan, runs)
        changed = "" if result is None else outdated(plan, runs)
        if result is not None and not (fresh and changed):
            if changed:
                run.note(f"{plan.name}: the result was made by other code ({changed}); --fresh runs it again")
            return result
        if changed:  # the result first: beside another `run.json` it would be that of the new code
            with files.writing(run.folder):
                for name in (RESULT, RECORDS):
                    (run.folder / name).unlink(missing_ok=True)
        checkpoint.tidy(run.folder)
        read_records(run.folder / RECORDS)  # an experiment may go on from those of a run that was stopped
        run.facts["ranks"] = current().size
        about = _about(run)
        seal(run.folder / ABOUT, {**about, **run.facts, "stages": _begun(run.folder)})
        files.write(run.folder / SPEC, tomli_w.dumps(dict(plan.document)).encode())
        report({"event": "started", "folder": str(run.folder), "spec": dict(plan.document)})
        findings = plan.experiment.build()(plan, run)
        result = {"format": FORMAT, "name": plan.name, "hash": plan.hash, "seed": plan.seed}
        result["numbers"] = written_all(findings.numbers)
        if findings.points:
            result["points"] = written_rows(findings.points)
        if findings.notes:
            result["notes"] = list(findings.notes)
        if findings.outcomes:
            result["outcomes"] = {name: list(values) for name, values in findings.outcomes.items()}
        content = files.dumped(result)
        ended = {"ended": time.time(), "files": hashes(run.folder, {RESULT: content})}
        seal(run.folder / ABOUT, {**about, **run.facts, **ended})
        files.write(run.folder / RESULT, content)
        return result


def try_out(plan: Plan, runs: Path, few: int) -> None:
    """Runs the experiment of a plan on a few samples; its numbers may be anything, as it has learned nothing.

    Raises: whatever stops it.
    """
    keep_freed()
    run = Run(plan, runs, few=few)
    run.folder.mkdir(parents=True)
    plan.experiment.build()(plan, run)


def work(piece: Json, report: Report) -> Json:
    """The work of an executor: takes a resolved document and the runs folder, returns the result or the problem."""
    import signal
    import threading

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    return answer_of(piece, report, stop.is_set)


def answer_of(piece: Json, report: Report, stopping: Callable[[], bool]) -> Json:
    """The result of a piece of work, or the problem, or that it was stopped."""
    try:
        result = execute(_plan(piece["document"]), Path(piece["runs"]), report, stopping, fresh=piece["fresh"])
    except Stopped:
        return {"stopped": True}
    except RunError as error:
        return {"problem": str(error)}
    return {"result": result}


def _installed() -> Registry:
    """What is installed: a process that does many pieces asks each plugin once."""
    return _asked(discover)


@cache
def _asked(ask: Callable[[], Registry]) -> Registry:
    return ask()


def take_part(piece: Json, own: Path, stopping: Callable[[], bool]) -> None:
    """Works on a plan with the first rank, which alone keeps files: those here, in `own`, may be deleted.

    Runs that the plan refers to are looked for where the first rank does.
    Raises: RunError if it cannot go on, Stopped if the ranks are asked to stop.
    """
    plan = _plan(piece["document"])
    parts = {role: located(part, Path(piece["runs"])) for role, part in plan.parts.items()}
    plan = attrs.evolve(plan, parts=parts)
    run = Run(plan, own, stopping=stopping)
    run.folder.mkdir(parents=True)
    plan.experiment.build()(plan, run)


def _plan(document: Json) -> Plan:
    (point,) = study(Document(dict(document), {}), _installed()).points
    return point.plan


def _ours(folder: Path, plan: Plan) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunError(f"{folder}: expected a folder; move the file away, or choose another folder with --runs")
    inside = [path.name for path in folder.iterdir() if not path.name.startswith(".tmp-")]
    got = read_json(folder / ABOUT, "hash")["hash"] if ABOUT in inside else "none"
    if inside and got != plan.hash:
        raise RunError(
            f"{folder}: expected a run of {plan.name!r} ({plan.hash}), got something else: the hash of its run is "
            f"{got!r}, and it holds {', '.join(sorted(inside)[:3])}; move it away, or choose another folder with --runs"
        )


def _begun(folder: Path) -> dict[str, Any]:
    """The stages that a run used before it was stopped; none if it has not begun, or its file is damaged."""
    with suppress(RunError):
        stages: dict[str, Any] = read_json(folder / ABOUT, "stages")["stages"]
        return stages
    return {}


def _about(run: Run) -> dict[str, Any]:
    """What runs, and where, from now on."""
    return {
        "hash": run.plan.hash,
        "seed": run.plan.seed,
        "command": shlex.join(sys.argv),
        "components": components(run.plan),
        "code": code_of(run.plan),
        "versions": versions(),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors, {platform.system()}",
        "device": torch.cuda.get_device_name() if run.device.type == "cuda" else str(run.device),
        "dtype": str(torch.get_default_dtype()).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "git": git_state(),
        "started": time.time(),
    }
