"""What a training asks of the ranks that take part in it, and the answers where there is one."""

from __future__ import annotations

from typing import Protocol


class Together(Protocol):
    """The ranks that train together, seen from one of them."""

    rank: int
    size: int

    @property
    def first(self) -> bool:
        """True for the rank that writes and prints."""

    def meet(self) -> None:
        """Waits, however long it takes, until every rank is here."""

    def any(self, value: bool) -> bool:
        """True if `value` is true on one rank."""

    def of_first(self, content: bytes) -> bytes:
        """`content` of the first rank, however long it takes to have it."""

    def same(self, what: str, value: str, advice: str) -> None:
        """Checks that all ranks have the same `value`, a short text.

        Raises: RunError on every rank that has another one than the first.
        """


class Alone:
    """One process."""

    rank, size, first = 0, 1, True

    def meet(self) -> None:
        """There is nobody to wait for."""

    def any(self, value: bool) -> bool:
        """`value`."""
        return value

    def of_first(self, content: bytes) -> bytes:
        """`content`."""
        return content

    def same(self, what: str, value: str, advice: str) -> None:
        """There is no other value."""


ALONE: Together = Alone()
