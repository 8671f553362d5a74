"""Reads earlier outputs, from which drafts are taken: JSON Lines, each line a list of ids."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from crt_nn.foreign import instead
from crt_verify.lookup.automaton import END, Automaton
from crtcore.errors import RunError, cut

LIMIT = 2**31
"""Ids are below this."""


def read_corpus(path: Path) -> Automaton:
    """The substrings of the rows of a file, none across two rows. Takes about 0.5 KB of memory and 10 us an id.

    Raises: RunError if there is no such file, or a line is no list of ids.
    """
    text = Automaton()
    for row in _rows(path):
        for x in (*row, END):
            text.append(x)
    return text


def _rows(path: Path) -> Iterator[list[int]]:
    if (other := instead(path, text=True)) is not None:
        raise RunError(f"{path}: expected earlier outputs, lists of ids line by line, got {other}")
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                number += 1
                if line.strip():
                    yield _ids(json.loads(line))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}, line {number}: expected a list of ids, {cut(str(error))}") from None
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror}") from None


def _ids(row: object) -> list[int]:
    if not isinstance(row, list):
        raise ValueError(f"got {row!r}")
    if wrong := [x for x in row if type(x) is not int or not 0 <= x < LIMIT]:
        raise ValueError(f"got {wrong[0]!r} among them")
    return row
