"""Reads values of a `config.json`, and refuses others by their key; free of torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crt_nn.foreign import instead
from crtcore.errors import RunError, in_one_line

NAME = "config.json"
_LARGEST = 2**24
"""Bytes of a JSON file that are read."""


def table(path: Path) -> dict[str, Any]:
    """Reads the JSON object in a file.

    Raises: RunError if there is none.
    """
    if got := instead(path, text=True):
        raise RunError(f"llama: {path}: expected a JSON object, got {got}")
    try:
        with path.open("rb") as file:
            values = json.loads(file.read(_LARGEST).decode())  # what is longer ends within a value
    except (OSError, ValueError, RecursionError) as error:
        got = f"none ({in_one_line(error):.120}); fetch the folder again, or write it by save_pretrained"
        raise RunError(f"llama: {path}: expected a JSON object, got {got}") from error
    if not isinstance(values, dict):
        raise RunError(f"llama: {path}: expected a JSON object, got {type(values).__name__}; fetch the folder again")
    return values


def unfit(folder: Path, key: str, expected: str, got: object) -> RunError:
    """Returns the error for a value of `config.json`."""
    return RunError(
        f"llama: {folder / NAME}: {key}: expected {expected}, got {got!r:.120}; other models are not supported"
    )


def whole(folder: Path, values: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """Reads a positive integer.

    Raises: RunError if it is none.
    """
    value = default if values.get(key) is None else values[key]
    if type(value) is not int or not 1 <= value < 2**63:
        raise unfit(folder, key, "a positive integer", value)
    return value


def positive(folder: Path, values: Mapping[str, Any], key: str, default: float | None = None) -> float:
    """Reads a positive number.

    Raises: RunError if it is none.
    """
    value = default if values.get(key) is None else values[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= sys.float_info.max:
        raise unfit(folder, key, "a positive number", value)
    return float(value)


def flag(folder: Path, values: Mapping[str, Any], key: str) -> bool:
    """Reads true or false; false where there is neither.

    Raises: RunError if it is something else.
    """
    value = values.get(key, False)
    if type(value) is not bool:
        raise unfit(folder, key, "true or false", value)
    return value
