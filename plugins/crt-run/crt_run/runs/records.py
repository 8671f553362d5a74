"""Records of a run: JSON lines that a kill may tear, and JSON files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from crt_run.runs import files
from crtcore.errors import RunError
from crtcore.kinds import Json

RESULT = "result.json"
RECORDS = "records.jsonl"
SAMPLES = "samples"


def append(path: Path, line: Json) -> None:
    """Appends one JSON line, whole.

    Raises: RunError if the disk refuses.
    """
    with files.writing(path), path.open("ab") as file:
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
