"""Records of a run, JSON lines of which a kill may truncate the last, and sealed JSON files."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, BinaryIO

from crt_run.runs import files
from crtcore.errors import RunError
from crtcore.kinds import Json

FORMAT = 3
"""Version of a run's JSON files, which each of them holds as `format`."""
ABOUT = "run.json"
RESULT = "result.json"
RECORDS = "records.jsonl"
SAMPLES = "samples"
CURVES = ("distortion", "validation")
"""The readings in the records of a stage that show how it learned."""
SEAL = "sha256"
"""The key of a sealed JSON file under which the hash of the others stands, and of a record its check."""


def append(path: Path, line: Json) -> None:
    """Appends one JSON line, in place of a truncated one; it is bound to the folder by the folder's name.

    Raises: RunError if writing fails.
    """
    with files.writing(path), path.open("a+b") as file:
        if file.tell() and not _ends(file):
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
        file.write(_line(line, path.parent.name))


def _ends(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def read_records(path: Path, of: str = "") -> list[dict[str, Any]]:
    """The records in a file, one for each stage and step; none if there is no file.

    Records of one step are merged, and a truncated last line is left out. `of` is the hash of the run or stage; empty:
    the name of the folder.
    Raises: RunError if another line is not as it was written.
    """
    records: dict[tuple[str, int], dict[str, Any]] = {}
    lines = files.read(path).split(b"\n")[:-1] if path.exists() else []
    for place, raw in enumerate(lines, 1):
        try:
            line = json.loads(raw)
            del line[SEAL]
            if raw + b"\n" != _line(line, of or path.parent.name):
                raise ValueError
            key = line["stage"], line["step"]
            records[key] = records.get(key, {}) | line  # the loss and the validation of a step are two lines
        except (ValueError, TypeError, LookupError, RecursionError):
            raise RunError(
                f"{path}: line {place}: the record was damaged, or is of another run; {files.again(path.parent)}"
            ) from None
    return list(records.values())


def _line(values: Json, of: str) -> bytes:
    text = json.dumps(values)
    check = hashlib.sha256(f"{of}\n{text}".encode()).hexdigest()[:12]
    return json.dumps({**values, SEAL: check}).encode() + b"\n"


def seal(path: Path, values: Json) -> None:
    """Writes a JSON file with its format and the hash of its content, atomically.

    Raises: RunError if writing fails.
    """
    files.write(path, _sealed({"format": FORMAT, **values}))


def _sealed(values: Json) -> bytes:
    return files.dumped({**values, SEAL: hashlib.sha256(files.dumped(values)).hexdigest()})


def read_json(path: Path, *expected: str) -> dict[str, Any]:
    """The values of a sealed JSON file in the present format, with the `expected` keys.

    Raises: RunError if it is missing, not readable, of another format, damaged, or something else.
    """
    raw = files.read(path)
    try:
        read = json.loads(raw)
    except (ValueError, RecursionError) as error:
        read = error
    if not isinstance(read, dict) or not set(expected) <= set(read):
        raise RunError(f"{path}: expected a JSON file of a run, got {str(read)[:80]!r}; {files.again(path.parent)}")
    if type(got := read.get("format")) is not int or got != FORMAT:
        raise RunError(
            f"{path}: expected format {FORMAT}, got {'none' if got is None else repr(got)[:80]}, which this version of "
            f"crtcore does not read; move {path.parent.parent} with all its runs away, or choose another folder with "
            "--runs, and run the spec file again"
        )
    values = {key: value for key, value in read.items() if key != SEAL}
    try:
        whole = raw == _sealed(values)
    except (ValueError, RecursionError):
        whole = False
    if not whole:
        raise RunError(
            f"{path}: the file was damaged or changed: its content does not have the SHA-256 that it names; "
            f"{files.again(path.parent)}"
        )
    return values


def listed(folder: Path, name: str, about: Json) -> bytes:
    """The content of a file whose hash stands under `files` in `about`, a sealed file of the same folder.

    Raises: RunError if it is missing, not readable, or has another hash.
    """
    content, path = files.read(folder / name), folder / name
    got, expected = hashlib.sha256(content).hexdigest(), about["files"].get(name)
    if got != expected:
        raise RunError(
            f"{path}: the file was damaged or replaced, expected SHA-256 {expected!r}, got {got!r} "
            f"({len(content)} bytes); {files.again(folder)}"
        )
    return content
