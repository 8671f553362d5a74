"""Runs and stages: folders, cache keys and locks."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from crt_cli.console import say
from crt_run.runs import checkpoint, files
from crt_run.runs.code import code_of, difference
from crt_run.runs.records import ABOUT, RECORDS, SAMPLES, append, read_json, read_records, seal
from crtcore.errors import CheckpointError, RunError, Stopped
from crtcore.kinds import Json, Plan, Report, StagePlan, digest

if TYPE_CHECKING:
    from torch import Tensor

PATIENCE = 0.5
"""Seconds between checks for a stop request while a process waits for a folder's lock."""
LOOKS = 2
"""Such checks before it reports that it waits."""
CODE = "code.json"
"""The file of a stage that says which code made it."""


class Stage:
    """One training with its weights, in a folder named after what it depends on; runs share it."""

    def __init__(
        self, run: Run, name: str, folder: Path, config: Json | None = None, report: Report = lambda event: None
    ) -> None:
        self.run = run
        self.name = name
        self.folder = folder
        self.config = config
        self.report = report

    @property
    def finished(self) -> bool:
        """True if the final weights are saved."""
        return checkpoint.committed(self.folder / "final")

    def latest(self) -> checkpoint.Saved | None:
        """The latest checkpoint, or the final one; None if there is none."""
        here = self._newest()
        return None if here is None else checkpoint.load(here)

    def _newest(self) -> Path | None:
        """The folder of the latest checkpoint."""
        if self.finished:
            return self.folder / "final"
        return max(filter(checkpoint.committed, self.folder.glob("step-*")), default=None)

    def rewind(self) -> None:
        """Goes back to the latest checkpoint: removes older ones, which a kill may leave, and records of later steps.

        Raises: CheckpointError if it, or the records of its steps, are damaged or of another stage.
        """
        here, records, size = self._newest(), self.folder / RECORDS, 0
        if here is not None:
            origin = checkpoint.origin(here) or {}
            if (got := origin.get("stage")) != self.folder.name:
                raise checkpoint.unfit(
                    here, "", f"expected a checkpoint of stage {self.folder.name!r}, got one of {got!r}"
                )
            size = origin["records"]["size"]
            if (there := self._recorded(size)) != origin["records"]:
                what = f"{records}: the records were damaged, expected {origin['records']}, got {there}"
                raise CheckpointError(f"{what}; {files.again(self.folder)}")
        with files.writing(records):
            if records.exists():
                os.truncate(records, size)
        for older in self.folder.glob("step-*"):
            if older != here:
                checkpoint.remove(older)

    def _recorded(self, size: int | None = None) -> dict[str, Any]:
        """Size and hash of the first `size` bytes of the records; None: of all."""
        path = self.folder / RECORDS
        content = (files.read(path) if path.exists() else b"")[:size]
        return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any], *, final: bool = False) -> None:
        """Commits a checkpoint, which names its stage and holds the hash of the records, then drops the older ones."""
        here = self.folder / ("final" if final else f"step-{step:09d}")
        origin = {"stage": self.folder.name, "records": self._recorded()}
        checkpoint.save(here, tensors, state, origin, config=self.config)
        for older in self.folder.glob("step-*"):
            if older != here:
                checkpoint.remove(older)
        self.report({"event": "checkpoint", "stage": self.name, "step": step, "folder": str(here)})

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
        import torch  # a report, which takes a folder's lock too, is drawn without it

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
        with alone(folder, self.stopping, self.note):
            with files.writing(folder):
                folder.mkdir(exist_ok=True)
            config = {"stage": name, "outline": self.facts.get("outline"), **_settings(plan, reads)}
            stage = Stage(self, name, folder, config, self.report)
            with files.reading(folder):
                checkpoint.tidy(folder)
                code = self._code(stage, code_of(plan.plan, {*_all_reads(plan), *reads}))
                stage.rewind()
            about = {"folder": str(folder.relative_to(self.runs)), "reused": stage.finished, "code": code}
            self._use(name, about)
            for line in read_records(folder / RECORDS):
                self.record(line, again=True)
            yield stage

    def _use(self, name: str, stage: Json) -> None:
        """Keeps that the run uses a stage, in its file at once: if it is stopped, it needs the stage to go on."""
        self.facts["stages"][name] = stage
        path = self.folder / ABOUT
        if path.is_file():  # a rehearsal and other ranks have none
            about = read_json(path, "stages")
            seal(path, {**about, "stages": {**about["stages"], name: stage}})

    def _code(self, stage: Stage, now: Mapping[str, str]) -> Mapping[str, str]:
        """The code that a stage is made by; a fresh run removes what other code made."""
        path = stage.folder / CODE
        begun = any(map(checkpoint.committed, stage.folder.iterdir()))
        mine = {"stage": stage.folder.name, "code": now}
        about: Mapping[str, Any] = read_json(path, "stage", "code") if begun else mine
        if about["stage"] != stage.folder.name:
            raise RunError(
                f"{path}: expected the code of stage {stage.folder.name!r}, got that of {about['stage']!r}; "
                f"{files.again(stage.folder)}"
            )
        then: Mapping[str, str] = about["code"]
        if changed := difference(then, now):
            if not self.fresh:
                self.note(f"stage {stage.name}: reused, though other code made it ({changed}); --fresh trains it again")
                return then
            checkpoint.clear(stage.folder)
        seal(path, mine)
        return now

    def note(self, text: str) -> None:
        """Reports a sentence for the person who runs it."""
        self.report({"event": "note", "text": text})

    def record(self, line: Json, *, again: bool = False) -> None:
        """Appends a line to the run's records, and reports it; `again`: it was recorded when its stage was trained."""
        append(self.folder / RECORDS, line)
        self.report({"event": "reading", **line, **({"again": True} if again else {})})

    def note_backends(self, role: str, part: object) -> None:
        """Records the backends that a part and its modules used: their attribute `backend`, if it is a string."""
        from torch import nn

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
        checkpoint.save(folder, {name: tensor.cpu() for name, tensor in tensors.items()}, {"hash": self.plan.hash})


def _settings(plan: StagePlan, reads: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a stage depends on, as the spec file has it: values by path, and those of the stages before it."""
    known: dict[str, Any] = {path: _written(plan.plan.document, path) for path in (*plan.reads, *reads)}
    return {**known, "after": {stage.name: _settings(stage) for stage in plan.after}}


def _written(value: Any, path: str) -> Any:
    """The value at a dotted path of a resolved spec file; None if it has none there."""
    for step in path.split("."):
        try:
            value = value[int(step)] if isinstance(value, list) else value[step]
        except (LookupError, TypeError, ValueError):
            return None
    return value


def _all_reads(plan: StagePlan) -> set[str]:
    """The reads of a stage and of those before it."""
    return {*plan.reads, *(path for stage in plan.after for path in _all_reads(stage))}


def address(plan: Plan, runs: Path) -> Path:
    """The folder of a plan's run."""
    return runs / plan.name / plan.hash


@contextmanager
def alone(
    folder: Path, stopping: Callable[[], bool] = lambda: False, note: Callable[[str], None] = say
) -> Iterator[None]:
    """Holds the lock of a folder, a file that names the process which holds it; `note` reports a long wait.

    Raises: Stopped if `stopping` returns True while it waits, RunError if writing fails.
    """
    path = folder.with_suffix(".lock")
    lock, looks = filelock.FileLock(path), 0
    while not lock.is_locked:
        if stopping():
            raise Stopped
        if looks == LOOKS:
            note(f"waiting for the folder {folder}, which {_holder(path)} is working in")
        with files.writing(folder), suppress(filelock.Timeout):
            folder.parent.mkdir(parents=True, exist_ok=True)
            looks += 1
            lock.acquire(timeout=PATIENCE)
    try:
        with files.writing(path):
            path.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    """The process that holds a lock, as it wrote there."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:200] or "another process"
    except OSError:
        return "another process"
