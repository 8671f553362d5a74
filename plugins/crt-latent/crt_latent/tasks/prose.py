"""Ids as words and sentences, for solvers that read the same text as a model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jaxtyping import Int
from torch import Tensor

STOPS = frozenset({".", "?", ";"})


class Prose:
    """Rows of ids as words; an id that is no word, such as a code, is `<id>`."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def rows(self, ids: Int[Tensor, "b n"]) -> Iterator[list[str]]:
        """Yields the words of each row."""
        count = len(self._texts)
        for row in ids.tolist():
            yield [self._texts[id_] if id_ < count else f"<{id_}>" for id_ in row if id_ >= 0]

    @staticmethod
    def sentences(words: Sequence[str]) -> list[list[str]]:
        """Splits words at stops, which are dropped.

        Raises: ValueError if the last word is not a stop.
        """
        result: list[list[str]] = [[]]
        for word in words:
            if word in STOPS:
                result.append([])
            else:
                result[-1].append(word)
        if result.pop():
            raise ValueError("expected words that end with a stop")
        return result
