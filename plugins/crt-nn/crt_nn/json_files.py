"""JSON that other programs wrote: an object in a file, and a value on each line.

Errors begin with `asker`, the name of the component that reads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from crt_nn.foreign import instead
from crtcore.errors import RunError, cut, in_one_line

T = TypeVar("T")

_LARGEST = 2**24
"""Bytes of an object that are read."""


def json_object(path: Path, asker: str) -> dict[str, Any]:
    """Reads the JSON object in a file.

    Raises: RunError if there is none.
    """
    if got := instead(path, text=True):
        raise RunError(f"{asker}: {path}: expected a JSON object, got {got}")
    try:
        with path.open("rb") as file:
            values = json.loads(file.read(_LARGEST).decode())  # what is longer ends within a value
    except (OSError, ValueError, RecursionError) as error:
        got = f"none ({in_one_line(error):.120}); fetch the folder again, or write it by save_pretrained"
        raise RunError(f"{asker}: {path}: expected a JSON object, got {got}") from error
    if not isinstance(values, dict):
        raise RunError(f"{asker}: {path}: expected a JSON object, got {type(values).__name__}; fetch the folder again")
    return values


def json_lines(path: Path, asker: str, read: Callable[[Any], T]) -> Iterator[T]:
    """What `read` makes of the value on each line that is not empty.

    Raises: RunError with the line, if it is no JSON or `read` raises a ValueError.
    """
    if (other := instead(path, text=True)) is not None:
        raise RunError(f"{asker}: {path}: expected JSON Lines, got {other}")
    number = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for line in file:
                number += 1
                if line.strip():
                    yield read(json.loads(line))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{asker}: {path}, line {number}: {cut(str(error))}; correct the line") from None
    except OSError as error:
        raise RunError(f"{asker}: {path}: cannot be read: {error.strerror}") from None
