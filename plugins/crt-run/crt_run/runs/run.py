"""Runs and stages: folders, cache keys and locks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import filelock
import torch
from torch import Tensor, nn

from crt_run.runs import checkpoint, files
from crt_run.runs.code import code_of, difference
from crt_run.runs.records import FORMAT, RECORDS, SAMPLES, append, read_json, read_records
from crtcore.errors import Stopped
from crtcore.kinds import Json, Plan, Report, StagePlan, digest

PATIENCE = 0.5
"""Seconds between checks for a stop request while a process waits for a folder's lock."""
CODE = "code.json"
"""The file of a stage that says which code made it."""


class Stage:
    """One training with its weights, in a folder named after what it depends on; runs share it."""

    def __init__(self, run: Run, name: str, folder: Path) -> None:
        self.run = run
        self.name = name
        self.folder = folder

    @property
    def finished(self) -> bool:
        """True if the final weights are saved."""
        return checkpoint.committed(self.folder / "final")

    def latest(self) -> checkpoint.Saved | None:
        """The latest checkpoint, or the final one; None if there is none."""
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

    def record(self, step: int, steps: int, metrics: Mapping[str, float]) -> None:
        """Appends metrics to the stage's records, and to the run's."""
        line = {"stage": self.name, "step": step, "steps": steps, **metrics}
        append(self.folder / RECORDS, line)
        self.run.record(line)


class Run:
    """The folder of a plan, which an experiment works in."""

    data: str | None = None
    """SHA-256 of the data, once they are read."""

    def __init__(
        self, plan: Plan, runs: Path, report: Report = lambda event: None,
        stopping: Callable[[], bool] = lambda: False, *, fresh: bool = False, few: int | None = None,
    ) -> None:  # fmt: skip
        self.plan = plan
        self.fresh = fresh
        self.few = few
        self.runs = runs
        self.folder = address(plan, runs)
        self.report = report
        self.stopping = stopping
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.facts: dict[str, Any] = {"backends": {}, "stages": {}}

    @contextmanager
    def stage(self, plan: StagePlan, label: str = "", reads: tuple[str, ...] = ()) -> Iterator[Stage]:
        """Opens the stage of a plan for one process at a time; `label` names one of several that share the plan.

        Its cache key hashes what it depends on: the plan at the paths that it reads and at `reads`, the stages before
        it, and the data. One that other code made is reused, and a note says so; a fresh run trains it again.
        """
        name = f"{plan.name}-{label}" if label else plan.name
        depends = {**plan.key, **plan.plan.only(reads, f"stage {name!r}").values()}
        folder = self.runs / "stages" / name / digest({"stage": name, **depends, "data": self.data})
        with alone(folder, self.stopping):
            with files.writing(folder):
                folder.mkdir(exist_ok=True)
            checkpoint.tidy(folder)
            stage = Stage(self, name, folder)
            code = self._code(stage, code_of(plan.plan, {*_all_reads(plan), *reads}))
            about = {"folder": str(folder.relative_to(self.runs)), "reused": stage.finished, "code": code}
            self.facts["stages"][name] = about
            if stage.finished:
                for line in read_records(folder / RECORDS):
                    self.record(line)
            yield stage

    def _code(self, stage: Stage, now: Mapping[str, str]) -> Mapping[str, str]:
        """The code that a stage is made by; a fresh run removes what other code made."""
        path = stage.folder / CODE
        begun = any(map(checkpoint.committed, stage.folder.iterdir()))
        then = read_json(path, "code")["code"] if path.is_file() and begun else now
        if changed := difference(then, now):
            if not self.fresh:
                self.note(f"stage {stage.name}: reused, though other code made it ({changed}); --fresh trains it again")
                return then
            checkpoint.clear(stage.folder)
        files.write_json(path, {"format": FORMAT, "code": now})
        return now

    def note(self, text: str) -> None:
        """Reports a sentence for the person who runs it."""
        self.report({"event": "note", "text": text})

    def record(self, line: Json) -> None:
        """Appends a line to the run's records, and reports it."""
        append(self.folder / RECORDS, line)
        self.report({"event": "reading", **line})

    def note_backends(self, role: str, part: object) -> None:
        """Records the backends that a part and its modules used: their attribute `backend`, if it is a string."""
        parts = [(role, part)]
        if isinstance(part, nn.Module):
            parts = [(f"{role} {type(module).__name__.lower()}", module) for module in part.modules()]
        for name, each in parts:
            if isinstance(backend := getattr(each, "backend", None), str):
                self.facts["backends"][name] = backend

    def keep(self, tensors: Mapping[str, Tensor]) -> None:
        """Saves the samples that the report shows."""
        folder = self.folder / SAMPLES
        checkpoint.remove(folder)
        checkpoint.save(folder, {name: tensor.cpu() for name, tensor in tensors.items()}, {})


def _all_reads(plan: StagePlan) -> set[str]:
    """The reads of a stage and of those before it."""
    return {*plan.reads, *(path for stage in plan.after for path in _all_reads(stage))}


def address(plan: Plan, runs: Path) -> Path:
    """The folder of a plan's run."""
    return runs / plan.name / plan.hash


@contextmanager
def alone(folder: Path, stopping: Callable[[], bool]) -> Iterator[None]:
    """Holds the lock of a folder.

    Raises: Stopped if `stopping` returns True while it waits, RunError if writing fails.
    """
    lock = filelock.FileLock(folder.with_suffix(".lock"))
    while not lock.is_locked:
        if stopping():
            raise Stopped
        with files.writing(folder), suppress(filelock.Timeout):
            folder.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=PATIENCE)
    try:
        yield
    finally:
        lock.release()
