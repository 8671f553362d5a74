"""Reads earlier outputs, from which drafts are taken: JSON Lines, each line a list of ids."""

from __future__ import annotations

from pathlib import Path

from crt_nn.json_files import json_lines
from crt_verify.lookup.automaton import END, Automaton

LIMIT = 2**31
"""Ids are below this."""


def read_corpus(path: Path) -> Automaton:
    """The substrings of the rows of a file, none across two rows. Takes about 0.5 KB of memory and 10 us an id.

    Raises: RunError if there is no such file, or a line is no list of ids.
    """
    text = Automaton()
    for row in json_lines(path, "suffix", _ids):
        for x in (*row, END):
            text.append(x)
    return text


def _ids(row: object) -> list[int]:
    if not isinstance(row, list):
        raise ValueError(f"expected a list of ids, got {row!r}")
    if wrong := [x for x in row if type(x) is not int or not 0 <= x < LIMIT]:
        raise ValueError(f"expected a list of ids, got {wrong[0]!r} among them")
    return row
