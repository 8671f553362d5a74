"""A finished run, whose files are checked when they are read."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import msgspec
from torch import Tensor

from crt_run.runs import checkpoint, files
from crt_run.runs.records import ABOUT, FORMAT, RECORDS, RESULT, SAMPLES, listed, read_json, read_records
from crtcore.errors import RunError
from crtcore.kinds import Json

SPEC = "spec.toml"
MARK = f"{SAMPLES}/{checkpoint.MARK}"
"""It holds the hash of the manifest of the samples, which holds theirs."""


class _Number(TypedDict):
    value: float
    unit: str
    n: int
    low: NotRequired[float]
    high: NotRequired[float]


class _Point(TypedDict):
    labels: dict[str, str | int | float]
    numbers: dict[str, _Number]


class _Result(TypedDict):
    format: int
    name: str
    hash: str
    seed: int
    numbers: dict[str, _Number]
    points: NotRequired[list[_Point]]
    notes: NotRequired[list[str]]
    outcomes: NotRequired[dict[str, list[float]]]


class Ended:
    """The folder of a finished run.

    Every member raises RunError if a file is missing, damaged, or of another run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def about(self) -> dict[str, Any]:
        """What `run.json` holds."""
        return read_json(self.folder / ABOUT, "hash", "seed", "code", "ended", "files")

    @cached_property
    def result(self) -> dict[str, Any]:
        """The result."""
        content = listed(self.folder, RESULT, self.about)
        where, advice = str(self.folder / RESULT), files.again(self.folder)
        return fitting(json.loads(content), self.about["hash"], self.about["seed"], where, advice)

    @property
    def spec(self) -> str:
        """The resolved spec file."""
        return listed(self.folder, SPEC, self.about).decode()

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records, one for each stage and step."""
        if RECORDS not in self.about["files"]:
            return []
        listed(self.folder, RECORDS, self.about)
        return read_records(self.folder / RECORDS, self.about["hash"])

    @property
    def samples(self) -> dict[str, Tensor] | None:
        """The samples that the report shows; None if the run kept none."""
        if MARK not in self.about["files"]:
            return None
        listed(self.folder, MARK, self.about)
        return checkpoint.load(self.folder / SAMPLES).tensors


def fitting(result: Any, wanted: str, seed: int, where: str, advice: str) -> dict[str, Any]:
    """A result that has the shape of one, and is of the run with the hash `wanted`.

    Raises: RunError if it is not; `where` begins the message and `advice` ends it.
    """
    try:
        msgspec.convert(result, _Result)
    except msgspec.ValidationError as error:
        raise RunError(f"{where}: expected a result of a run, got something else ({error}); {advice}") from None
    for key, expected in (("format", FORMAT), ("hash", wanted), ("seed", seed)):
        if result[key] != expected:
            raise RunError(f"{where}: expected a result with {key} {expected!r}, got {result[key]!r}; {advice}")
    values: dict[str, Any] = result
    return values


def hashes(folder: Path, more: Json) -> dict[str, str]:
    """File to hash of everything in a run's folder that is shown later, and of `more`: name to content."""
    there = {name: files.read(folder / name) for name in (RECORDS, SPEC, MARK) if (folder / name).exists()}
    return {name: hashlib.sha256(content).hexdigest() for name, content in {**there, **more}.items()}
