"""Runs: one plan in one folder, from the first step or from where it stopped."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

import filelock
import tomli_w
import torch
from torch import Tensor, nn

from crtcore import checkpoint
from crtcore.checkpoint import write, write_json
from crtcore.errors import RunError
from crtcore.experiment import study
from crtcore.kinds import Json, Measurement, Plan, Report, digest
from crtcore.points import finite, flat
from crtcore.registry import discover
from crtcore.toml import Document

RESULT = "result.json"
RECORDS = "records.jsonl"
SAMPLES = "samples"
FORMAT = 1
"""Version of the run folder's form."""
_SETTINGS = ("device", "dtype", "threads", "machine", "python", "git")
PATIENCE = 0.5
"""Seconds that a process waits for another's folder before it looks whether it was asked to stop."""


class Stopped(Exception):
    """The run was asked to stop, and has saved."""


class Stage:
    """A trained thing, addressed by what it depends on, that any run may use."""

    def __init__(self, run: Run, name: str, folder: Path) -> None:
        self.run = run
        self.name = name
        self.folder = folder

    @property
    def finished(self) -> bool:
        """True: its final weights are there."""
        return checkpoint.committed(self.folder / "final")

    def latest(self) -> checkpoint.Saved | None:
        """The newest checkpoint; the final one if there is one."""
        if self.finished:
            return checkpoint.load(self.folder / "final")
        steps = sorted(path for path in self.folder.glob("step-*") if checkpoint.committed(path))
        return checkpoint.load(steps[-1]) if steps else None

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any], *, final: bool = False) -> None:
        """Commits a checkpoint, then drops the older ones."""
        here = self.folder / ("final" if final else f"step-{step:09d}")
        checkpoint.save(here, tensors, state)
        for older in self.folder.glob("step-*"):
            if older != here:
                checkpoint.remove(older)

    def record(self, step: int, steps: int, readings: Mapping[str, float]) -> None:
        """Appends readings to the stage's records, and to the run's."""
        line = {"stage": self.name, "step": step, "steps": steps, **readings}
        append(self.folder / RECORDS, line)
        self.run.record(line)


class Run:
    """A plan's folder: what an experiment works in."""

    def __init__(
        self, plan: Plan, runs: Path, report: Report = lambda event: None, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self.plan = plan
        self.runs = runs
        self.folder = address(plan, runs)
        self.report = report
        self.stopping = stopping
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.facts: dict[str, Any] = {"backends": {}, "stages": {}}

    @contextmanager
    def stage(self, name: str, reads: tuple[str, ...], of: Plan | None = None) -> Iterator[Stage]:
        """The stage called `name`, which depends on what the plan has at the paths `reads`; one process at a time.

        `of` is the plan that is read, where an experiment trains by another than the run's own.
        """
        key = digest({"stage": name, **(of or self.plan).excerpt(reads)})
        folder = self.runs / "stages" / name / key
        with _alone(folder, self.stopping):
            with checkpoint.writing(folder):
                folder.mkdir(exist_ok=True)
            checkpoint.tidy(folder)
            stage = Stage(self, name, folder)
            self.facts["stages"][name] = {"folder": str(folder.relative_to(self.runs)), "reused": stage.finished}
            if stage.finished:
                for line in read_records(folder / RECORDS):
                    self.record(line)
            yield stage

    def record(self, line: Json) -> None:
        """Appends a line to the run's records, and reports it."""
        append(self.folder / RECORDS, line)
        self.report({"event": "reading", **line})

    def note_backends(self, role: str, part: object) -> None:
        """Records the backends that a part or its modules ended up with: their attribute `backend`, if it is a text."""
        told = [(role, part)]
        if isinstance(part, nn.Module):
            told = [(f"{role} {type(module).__name__.lower()}", module) for module in part.modules()]
        for name, each in told:
            if isinstance(backend := getattr(each, "backend", None), str):
                self.facts["backends"][name] = backend

    def keep(self, tensors: Mapping[str, Tensor]) -> None:
        """Saves the samples that the report shows."""
        folder = self.folder / SAMPLES
        checkpoint.remove(folder)
        checkpoint.save(folder, {name: tensor.cpu() for name, tensor in tensors.items()}, {})


def address(plan: Plan, runs: Path) -> Path:
    """The folder of a plan's run."""
    return runs / plan.name / plan.hash


def finished(plan: Plan, runs: Path) -> dict[str, Any] | None:
    """The result of a plan's run, if it is there.

    Raises: RunError if the folder is not a run of that plan.
    """
    folder = address(plan, runs)
    _ours(folder, plan)
    path = folder / RESULT
    return read_json(path) if path.is_file() else None


def execute(
    plan: Plan, runs: Path, report: Report = lambda event: None, stopping: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """The result of a plan, run from the start, from where it stopped, or read if it is finished.

    Raises: RunError if it cannot go on, Stopped if `stopping` said so.
    """
    run = Run(plan, runs, report, stopping)
    with _alone(run.folder, stopping):
        result = finished(plan, runs)
        if result is not None:
            return result
        checkpoint.tidy(run.folder)
        started = time.time()
        _describe(run, started, None)
        write(run.folder / "spec.toml", tomli_w.dumps(dict(plan.document)).encode())
        found = plan.experiment.build()(plan, run)
        _describe(run, started, time.time())
        result = {"name": plan.name, "hash": plan.hash, "seed": plan.seed, "numbers": _plain(found.numbers)}
        if found.points:
            result["points"] = flat(found.points)
        if found.notes:
            result["notes"] = list(found.notes)
        if found.outcomes:
            result["outcomes"] = {name: list(values) for name, values in found.outcomes.items()}
        write_json(run.folder / RESULT, result)
        return result


@contextmanager
def _alone(folder: Path, stopping: Callable[[], bool]) -> Iterator[None]:
    """Holds a folder for this process alone.

    Raises: Stopped if `stopping` says so before it is free, RunError if the disk refuses.
    """
    lock = filelock.FileLock(folder.with_suffix(".lock"))
    while not lock.is_locked:
        if stopping():
            raise Stopped
        with checkpoint.writing(folder), suppress(filelock.Timeout):
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=PATIENCE)
    try:
        yield
    finally:
        lock.release()


def work(piece: Json, report: Report) -> Json:
    """A piece of work for an executor: a resolved document and the runs folder, to the result or what went wrong."""
    import signal
    import threading

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    (point,) = study(Document(dict(piece["document"]), {}), discover()).points
    try:
        result = execute(point.plan, Path(piece["runs"]), report, stop.is_set)
    except Stopped:
        return {"stopped": True}
    except RunError as error:
        return {"problem": str(error)}
    return {"result": result}


def append(path: Path, line: Json) -> None:
    """Appends one JSON line, whole.

    Raises: RunError if the disk refuses.
    """
    with checkpoint.writing(path), path.open("ab") as file:
        torn = file.tell() and not _ends(path)
        file.write((b"\n" if torn else b"") + json.dumps(line).encode() + b"\n")


def _ends(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def read_records(path: Path) -> list[dict[str, Any]]:
    """The readings in a file, in order of stage and step.

    A step done again after a kill counts once, and a line that a kill tore is left out.
    """
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for raw in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            line = json.loads(raw)
            key = line["stage"], line["step"]
            found[key] = found.get(key, {}) | line  # a step can have been recorded by its loss and by its judge
        except (ValueError, TypeError, LookupError, RecursionError):
            continue
    return list(found.values())


def read_json(path: Path, *expected: str) -> dict[str, Any]:
    """A JSON file of a run, with the `expected` keys.

    Raises: RunError if it is not there, not readable, or something else.
    """
    try:
        read = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise RunError(
            f"{path}: expected a file of a run, found none; a report needs its runs where they were made"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        read = error
    if not isinstance(read, dict) or not set(expected) <= set(read):
        raise RunError(
            f"{path}: expected a JSON file of a run, got {str(read)[:80]!r}; "
            f"move the folder {path.parent} away and give the same command again"
        )
    return read


def ran_on(folders: Iterable[Path]) -> dict[str, dict[str, list[str]]]:
    """What finished runs ran on: backends, settings and versions, each with every value there was."""
    found: dict[str, dict[str, list[str]]] = {"backends": {}, "settings": {}, "versions": {}}
    for folder in folders:
        about = read_json(folder / "run.json", "backends", "versions", *_SETTINGS)
        settings = {name: about[name] for name in _SETTINGS}
        for what, facts in (("backends", about["backends"]), ("settings", settings), ("versions", about["versions"])):
            for name, value in facts.items():
                if str(value) not in found[what].setdefault(name, []):
                    found[what][name].append(str(value))
    return found


def _ours(folder: Path, plan: Plan) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunError(f"{folder}: expected a folder; move the file away, or choose another folder with --runs")
    inside = [path.name for path in folder.iterdir() if not path.name.startswith(".tmp-")]
    about = read_json(folder / "run.json") if "run.json" in inside else {}
    if inside and (about.get("format"), about.get("hash")) != (FORMAT, plan.hash):
        raise RunError(
            f"{folder}: expected a run of {plan.name!r} ({plan.hash}), found something else "
            f"({', '.join(sorted(inside)[:3])}); move it away, or choose another folder with --runs"
        )


def _plain(numbers: Mapping[str, Measurement]) -> dict[str, Any]:
    finite(numbers)
    return {name: {k: v for k, v in number._asdict().items() if v is not None} for name, number in numbers.items()}


def _describe(run: Run, started: float, ended: float | None) -> None:
    write_json(
        run.folder / "run.json",
        {
            "format": FORMAT,
            "hash": run.plan.hash,
            "seed": run.plan.seed,
            "command": shlex.join(sys.argv),
            "versions": versions(),
            "python": platform.python_version(),
            "machine": f"{platform.machine()}, {os.cpu_count()} processors, {platform.system()}",
            "device": torch.cuda.get_device_name() if run.device.type == "cuda" else str(run.device),
            "dtype": str(torch.get_default_dtype()).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "git": git_state(),
            "started": started,
            "ended": ended,
            **run.facts,
        },
    )


def versions() -> dict[str, str]:
    """Versions of what a result depends on: this project's packages and the numeric ones."""
    ours = {dist.name: dist.version for dist in distributions() if dist.name.startswith("crt")}
    for name in ("torch", "numpy", "scipy", "scikit-learn", "safetensors", "xformers"):
        try:
            ours[name] = version(name)
        except PackageNotFoundError:
            continue
    return dict(sorted(ours.items()))


def git_state() -> str | None:
    """Commit of the folder the command was given in, with `-dirty` if files differ; None outside a repository."""
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],  # noqa: S607
            capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip()
