"""Reads values of a `config.json`, and refuses others by their key; free of torch."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crtcore.errors import RunError

NAME = "config.json"


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
