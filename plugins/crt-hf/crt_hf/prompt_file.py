"""Files of prompts: JSON lines, each a text, a chat or ids; free of torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crtcore.errors import RunError


def read_prompts(path: Path) -> list[tuple[Any, int | None]]:
    """The prompts in a file, each with its seed if it has its own.

    Raises: RunError with the line, or if there is none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise RunError(f"{path}: expected lines of JSON in UTF-8, got {error}") from error
    prompts = [_line(line, f"{path}: line {place}") for place, line in enumerate(lines, start=1) if line.strip()]
    if not prompts:
        raise RunError(f"{path}: expected at least one prompt, got none")
    return prompts


def _line(line: str, where: str) -> tuple[Any, int | None]:
    expected = f'{where}: expected an object with "prompt", "messages" or "ids"'
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise RunError(f"{expected}, got {error}") from error
    keys = [key for key in ("prompt", "messages", "ids") if isinstance(entry, dict) and key in entry]
    if len(keys) != 1:
        raise RunError(f"{expected}, one of them, got {line:.80}")
    return entry[keys[0]], entry.get("seed")
