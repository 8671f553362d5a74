"""Records of a run: JSON lines, of which a kill may truncate the last, and JSON files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from crt_run.runs import files
from crtcore.errors import RunError
from crtcore.kinds import Json

FORMAT = 2
"""Version of a run's JSON files, which each of them holds as `format`."""
RESULT = "result.json"
RECORDS = "records.jsonl"
SAMPLES = "samples"
CURVES = ("distortion", "validation")
"""The readings in the records of a stage that show how it learned."""


def append(path: Path, line: Json) -> None:
    """Appends one JSON line, on a new line even after a truncated one.

    Raises: RunError if writing fails.
    """
    with files.writing(path), path.open("ab") as file:
        torn = file.tell() and not _ends(path)
        file.write((b"\n" if torn else b"") + json.dumps(line).encode() + b"\n")


def _ends(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records in a file, one for each stage and step.

    Records of one step are merged, and truncated lines are skipped.
    """
    records: dict[tuple[str, int], dict[str, Any]] = {}
    for raw in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            line = json.loads(raw)
            key = line["stage"], line["step"]
            records[key] = records.get(key, {}) | line  # the loss and the validation of a step are two lines
        except (ValueError, TypeError, LookupError, RecursionError):
            continue
    return list(records.values())


def read_json(path: Path, *expected: str) -> dict[str, Any]:
    """A JSON file of a run or sweep in the present format, with the `expected` keys.

    Raises: RunError if it is missing, not readable, of another format, or something else.
    """
    try:
        read = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise RunError(
            f"{path}: expected a file of a run, got none; a report needs its runs where they were made"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        read = error
    if not isinstance(read, dict) or not set(expected) <= set(read):
        raise RunError(
            f"{path}: expected a JSON file of a run, got {str(read)[:80]!r}; "
            f"move the folder {path.parent} away and give the same command again"
        )
    if read.get("format") != FORMAT:
        raise RunError(
            f"{path}: expected format {FORMAT}, got {read.get('format', 'none')}, which this version of crtcore does "
            f"not read; move {path.parent.parent} with all its runs away, or choose another folder with --runs, and "
            "run the spec file again"
        )
    return read
