"""The text of the study of a real model's states: which windows of a document are kept."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

WINDOWS: Callable[..., Any] = runpy.run_path(str(Path(__file__).parents[1] / "bench" / "documents.py"))["windows"]


class Characters:
    """A tokenizer with an id for each character."""

    def encode(self, text: str, *, add_special_tokens: bool) -> SimpleNamespace:
        """The ids of a text."""
        assert not add_special_tokens
        return SimpleNamespace(ids=list(map(ord, text)))


def kept(text: str, seen: set[bytes]) -> list[list[int]]:
    """The windows of two ids that a document leaves."""
    return [row.tolist() for row in WINDOWS(Characters(), text, 2, seen)]


def test_a_long_document_leaves_16_windows_over_its_whole_length() -> None:
    """Of 40 windows, every second or third one: window k begins with the id 2 k."""
    starts = [first for first, _ in kept("".join(map(chr, range(80))), set())]

    assert starts == [0, 4, 10, 14, 20, 24, 30, 34, 40, 44, 50, 54, 60, 64, 70, 74]


def test_a_short_document_leaves_each_whole_window_once() -> None:
    seen: set[bytes] = set()

    first, second = kept("ababcde", seen), kept("cdfg", seen)

    assert first == [[97, 98], [99, 100]]
    assert second == [[102, 103]]
