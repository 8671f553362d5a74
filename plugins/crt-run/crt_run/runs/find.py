"""Finished runs by name or folder, and the weights of their stages; imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crt_run.runs import files
from crt_run.runs.records import ABOUT, RESULT, read_json
from crtcore.errors import RunError, nearest

RUNS = Path("runs")
"""The folder of runs where no other is named."""
_COMMITTED = "COMMITTED"  # `checkpoint.MARK`, whose module imports torch


def find_run(run: str | Path, runs: Path = RUNS, *, finished: bool = True) -> Path:
    """The folder of a finished run: itself a folder, or below `runs` a NAME with one finished run, or NAME/HASH.

    The first digits of a hash are enough where one run of that name begins with them.
    `finished=False` takes any run, so that a NAME must have one run at all.
    Raises: RunError if there is no such run, several, or one that is not finished.
    """
    if (Path(run) / ABOUT).is_file():
        if finished and not (Path(run) / RESULT).is_file():
            raise unfinished(Path(run))
        return Path(run).absolute()
    text = str(run)
    name, _, start = text.strip("/").partition("/")
    folders = _runs_of(runs / name) if name and ".." not in text else []
    fitting = [folder for folder in folders if folder.name.startswith(start)]
    done = [folder for folder in fitting if not finished or (folder / RESULT).is_file()]
    if len(done) == 1:
        return done[0].absolute()
    kind = "finished run" if finished else "run"
    if len(done) > 1:
        shown = ", ".join(f"{name}/{folder.name}" for folder in done[:8])
        more = f" and {len(done) - 8} more" if len(done) > 8 else ""
        raise RunError(
            f"expected one {kind} called {text!r} in {runs}, got {len(done)}: {shown}{more}; "
            "name one of them; `crt runs compare` shows how they differ"
        )
    if fitting:
        raise unfinished(fitting[0])
    if folders:
        known = ", ".join(folder.name for folder in folders[:8])
        raise RunError(f"{runs}: expected a run {text!r}, got none; the runs of {name!r} are {known}")
    names = sorted(folder.name for folder in runs.iterdir() if _runs_of(folder)) if runs.is_dir() else []
    raise RunError(
        f"expected a {kind}, by its folder or its name in {runs}, got {text!r}{nearest(name, names)}; "
        "`crt runs` lists them"
    )


def find_stage(run: Path, stage: str) -> Path:
    """The folder of the final weights of a stage of the finished run in the folder `run`.

    Raises: RunError if the run has no such stage, or its weights are not there.
    """
    stages: dict[str, Any] = read_json(run / ABOUT, "stages")["stages"]
    if stage not in stages:
        raise RunError(f"{run}: expected a stage of this run, got {stage!r}{nearest(stage, list(stages))}")
    folder: Path = run.parent.parent / stages[stage]["folder"] / "final"
    if not (folder / _COMMITTED).is_file():
        raise RunError(
            f"{folder}: expected the final weights of stage {stage!r} of {run}, got none: the folder was moved or "
            f"removed; put it back, or {files.again(run)}"
        )
    return folder


def is_run(folder: Path) -> bool:
    """Whether a folder is where runs keep theirs, and holds what a run writes first."""
    return (folder / ABOUT).is_file() and not folder.is_symlink()


def unfinished(folder: Path) -> RunError:
    """The error about a run without a result."""
    return RunError(
        f"{folder}: expected a finished run, got one without a result; `crt run` with its spec file goes on from where "
        "it stopped"
    )


def _runs_of(folder: Path) -> list[Path]:
    """The folders of the runs of one name."""
    return sorted(path for path in folder.iterdir() if is_run(path)) if folder.is_dir() else []
