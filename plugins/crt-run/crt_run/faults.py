"""Errors that components raise, for a message."""

from __future__ import annotations

from crtcore.errors import in_one_line
from crtcore.registry import discover


def at_fault(error: BaseException) -> str:
    """An exception in one line, after the component whose spec's code was running last when it was raised, if any."""
    return ": ".join(filter(None, (discover().blamed(error), in_one_line(error))))
