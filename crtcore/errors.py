"""Errors that end a command with one message."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple, TypeAlias

PROBLEMS = 100
"""Problems of a document that are named: the first, if there are more."""
COMPARED = 500
"""Names that an unknown one is compared with: the first, if there are more."""
LONGEST = 1000
"""Characters of each part of a problem's line; the middle of a longer one is left out."""

Key: TypeAlias = tuple[str | int, ...]
"""Where a value stands in a document: table keys and array indices from the top."""


class RunError(Exception):
    """A run cannot go on; the message says what, where, and what to do."""


class CheckpointError(RunError):
    """A checkpoint is not what was written."""


class PriorError(RunError):
    """A prior or its session returned what its contract rules out; the message names target or draft, row and step."""


class Stopped(Exception):
    """The run was asked to stop, and has saved."""


class Problem(NamedTuple):
    """One thing wrong with a document."""

    where: str
    """File and line, or the command-line option."""
    path: Key
    message: str

    def __str__(self) -> str:
        return ": ".join(cut(part) for part in (self.where, dotted(self.path), self.message) if part)


class SpecError(ValueError):
    """What is wrong with a document: everything, or the first `PROBLEMS`."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        first = list(islice(problems, PROBLEMS + 1))
        if len(first) > PROBLEMS:
            first[-1] = Problem("", (), f"these are the first {PROBLEMS} problems; there are more")
        self.problems = tuple(first)
        super().__init__("\n".join(map(str, self.problems)))


def cut(text: str) -> str:
    """`text` in one line of at most `LONGEST` characters, what does not print as escapes."""
    if not text.isprintable():
        text = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2 - 2]} ... {text[3 - LONGEST // 2 :]}"


def dotted(path: Key) -> str:
    """`path` as it is written: `regularizer.0.weight`."""
    return ".".join(str(step) for step in path)


def in_one_line(error: BaseException) -> str:
    """An exception in one printable line: its type and its text, whatever its `str` does."""
    text = "an error without a text"
    with contextlib.suppress(BaseException):  # its own code, which may do anything
        text = f"{type(error).__name__[:LONGEST]}: its text cannot be read"
        text = f"{type(error).__name__}: {str.__str__(str(error))}"
    return cut(" ".join(text[: 2 * LONGEST].split())).removesuffix(":")


def nearest(word: str, known: list[str]) -> str:
    """`; did you mean 'width'?`, or what there is."""
    import difflib  # only where something is wrong

    close = difflib.get_close_matches(str(word), known[:COMPARED], 1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(sorted(known)) or 'none'}"
