"""All runs in a folder, as rows to list, compare and remove; imports no torch."""

from __future__ import annotations

import fnmatch
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import tomli

from crt_run.runs import files
from crt_run.runs.find import is_run
from crt_run.runs.records import ABOUT, RESULT, listed, read_json
from crtcore.compose.plan import parsed
from crtcore.compose.study import label
from crtcore.errors import RunError

SPEC = "spec.toml"


class Listed(NamedTuple):
    """A run."""

    name: str
    hash: str
    folder: Path
    about: Mapping[str, Any]
    """What `run.json` holds."""
    settings: Mapping[str, str]
    """The resolved spec file: dotted path to its value, for a person."""
    numbers: Mapping[str, Mapping[str, Any]]
    """As in `result.json`; none before the run has ended."""

    @property
    def status(self) -> str:
        """`finished`, or `stopped`: it has no result, and may be running."""
        return "finished" if "ended" in self.about else "stopped"

    @property
    def seconds(self) -> float | None:
        """Between its last start and its end; None if it has not ended."""
        return self.about["ended"] - self.about["started"] if "ended" in self.about else None


def list_runs(runs: Path, patterns: Sequence[str] = (), where: Sequence[str] = ()) -> tuple[list[Listed], list[str]]:
    """The runs in a folder, oldest first, and a line for each that cannot be read.

    `patterns` are globs of NAME or NAME/HASH, of which one must fit, and `where` texts PATH=VALUE, which must all hold.
    Raises: RunError if a text of `where` has no `=`.
    """
    wanted = [_condition(text) for text in where]
    listed, broken = [], []
    for folder in _folders(runs):
        name = f"{folder.parent.name}/{folder.name}"
        if patterns and not any(fnmatch.fnmatchcase(each, p) for p in patterns for each in (name, folder.parent.name)):
            continue
        try:
            run = read_run(folder)
        except RunError as error:
            broken.append(str(error))
            continue
        if all(run.settings.get(path) in values for path, values in wanted):
            listed.append(run)
    return sorted(listed, key=lambda run: (run.about["started"], run.hash)), broken


def differing(runs: Sequence[Listed]) -> dict[str, list[str]]:
    """The settings in which runs differ: path to the value of each; empty where a run has none there."""
    paths = dict.fromkeys(path for run in runs for path in run.settings)
    values = {path: [run.settings.get(path, "") for run in runs] for path in paths}
    return {path: each for path, each in values.items() if len(set(each)) > 1}


def unused_stages(runs: Path, removed: Iterable[Path] = ()) -> list[Path]:
    """The folders of stages that no run in a folder uses, those of `removed` left out.

    Raises: RunError if a run cannot be read, as the stages that it uses are not known.
    """
    gone = {folder.absolute() for folder in removed}
    used = set()
    for folder in _folders(runs):
        if folder.absolute() not in gone:
            stages: Mapping[str, Any] = read_json(folder / ABOUT, "stages")["stages"]
            used |= {(runs / each["folder"]).absolute() for each in stages.values()}
    there = sorted(path for path in runs.glob("stages/*/*") if path.is_dir() and not path.is_symlink())
    return [path for path in there if path.absolute() not in used]


def size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def remove(folder: Path) -> None:
    """Deletes the folder of a run or stage, once no process works in it.

    Raises: RunError if it is no folder of a run or stage, a process works in it, or it cannot be deleted.
    """
    stage = folder.parent.parent.name == "stages" and (folder / "code.json").is_file()
    if folder.is_symlink() or not (stage or (is_run(folder) and read_run(folder).hash == folder.name)):
        raise RunError(f"{folder}: expected the folder of a run, which has the name of its hash, got another; it stays")
    lock = filelock.FileLock(folder.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise RunError(f"{folder}: a process works in it; stop that first") from None
    try:
        with files.writing(folder):
            (folder / RESULT).unlink(missing_ok=True)  # first: what a kill leaves is no finished run
            shutil.rmtree(folder)
    finally:
        lock.release()
    with files.writing(folder):
        folder.with_suffix(".lock").unlink(missing_ok=True)


def _folders(runs: Path) -> Iterator[Path]:
    for parent in sorted(runs.iterdir()) if runs.is_dir() else ():
        if parent.is_dir() and parent.name != "stages" and not parent.is_symlink():
            yield from sorted(path for path in parent.iterdir() if is_run(path))


def read_run(folder: Path) -> Listed:
    """The run in a folder.

    Raises: RunError if its files are missing, damaged or of another run.
    """
    about = read_json(folder / ABOUT, "hash", "seed", "started")
    if about["hash"] != folder.name:
        raise RunError(f"{folder}: expected the run {folder.name!r}, got {about['hash']!r}; {files.again(folder)}")
    ended = "ended" in about
    try:
        spec = tomli.loads((listed(folder, SPEC, about) if ended else files.read(folder / SPEC)).decode())
        numbers = json.loads(listed(folder, RESULT, about))["numbers"] if ended else {}
    except (ValueError, LookupError, TypeError) as error:
        raise RunError(f"{folder}: expected the files of a run, got others ({error}); {files.again(folder)}") from None
    return Listed(folder.parent.name, folder.name, folder, about, dict(_settings(spec)), numbers)


def _settings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each value of a spec file by its dotted path."""
    if isinstance(value, dict):
        for key, inside in value.items():
            yield from _settings(inside, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for place, inside in enumerate(value):
            yield from _settings(inside, f"{path}.{place}")
    else:
        yield path, label(value)


def _condition(text: str) -> tuple[str, set[str]]:
    """A path, and the labels that its value may have: that of the value as TOML has it, or of the text."""
    path, sign, value = text.partition("=")
    if not sign or not path.strip():
        raise RunError(f"--where {text}: expected PATH=VALUE, such as prior.layers=2")
    return path.strip(), {label(parsed(value.strip())), label(value.strip())}
