"""Prose: ids as words and sentences, for solvers that read what a model reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jaxtyping import Int
from torch import Tensor

STOPS = frozenset({".", "?", ";"})


class Prose:
    """Rows of ids as words; an id that is no word of the text, such as a code, is `<id>`."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def rows(self, ids: Int[Tensor, "b n"]) -> Iterator[list[str]]:
        """The words of each row."""
        count = len(self._texts)
        for row in ids.tolist():
            yield [self._texts[id_] if id_ < count else f"<{id_}>" for id_ in row if id_ >= 0]

    @staticmethod
    def sentences(words: Sequence[str]) -> list[list[str]]:
        """Words up to each stop, without it.

        Raises: ValueError if the last has none.
        """
        found: list[list[str]] = [[]]
        for word in words:
            if word in STOPS:
                found.append([])
            else:
                found[-1].append(word)
        if found.pop():
            raise ValueError("expected words that end on a stop")
        return found
