"""Text as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

BROKEN = "\ufffd"
"""What the bytes of an unfinished letter are decoded to."""


class Stream:
    """Prints the text of one prompt's ids; letters that may still change wait."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._shown = ""

    def follow(self, row: int, ids: Sequence[int]) -> None:
        """Prints what ids add."""
        self._ids += ids
        text = self._tokenizer.decode(self._ids, skip_special_tokens=True).rstrip(BROKEN)
        self._show(text)

    def end(self, text: str) -> None:
        """Prints the rest of the whole text, and ends the line."""
        self._show(text)
        click.echo()

    def _show(self, text: str) -> None:
        if text.startswith(self._shown):
            click.echo(text[len(self._shown) :], nl=False)
            self._shown = text
