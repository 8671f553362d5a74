"""Docstrings of this repository are plain text: names in single backticks, and paragraphs such as `Raises:`."""

from __future__ import annotations

import re
from typing import Any

SECTIONS = re.compile(r"^(Raises|Source|Units|Cost|Axes): ?")
SPAN = re.compile(r"`([^`]+)`")


def restructured(lines: list[str]) -> list[str]:
    """The lines as reStructuredText: nothing in them is markup but backticks, lists and sections."""
    made: list[str] = []
    for line in lines:
        section = SECTIONS.match(line)
        parts = SPAN.split(line[section.end() :] if section else line)  # text, name, text, ...
        parts[::2] = [re.sub(r"([*|_\\])", r"\\\1", part) for part in parts[::2]]
        if parts[0].lstrip().startswith(("\\* ", "- ")):
            parts[0] = parts[0].replace("\\* ", "* ", 1)
        parts[1::2] = [f"``{part}``" for part in parts[1::2]]
        # Letters that touch a name, as in `spec`s, need a space that is not shown.
        parts[2::2] = [f"\\ {part}" if part[:1].isalnum() else part for part in parts[2::2]]
        text = "".join(parts)
        made += ["", f"**{section[1]}:** {text}"] if section else [text]
    return made


def rewrite(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Rewrites a docstring in place, as autodoc asks."""
    lines[:] = restructured(lines)


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", rewrite)
    return {"parallel_read_safe": True}
