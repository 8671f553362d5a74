"""Tables of text as CSV and as Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence


def as_csv(rows: Sequence[Sequence[str]]) -> str:
    """The rows as CSV (RFC 4180, lines end in a line feed), the first one the heading."""
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerows(rows)
    return made.getvalue().rstrip("\n")


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """The rows as a table of Markdown, the first one the heading."""
    heading, *body = [[_cell(each) for each in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, ["---"] * len(heading), *body))


def _cell(text: str) -> str:
    """Text that ends no cell and no line."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|")
