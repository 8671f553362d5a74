"""Slow tests run last, and an interrupt stops what tests start."""

from __future__ import annotations

import signal

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what it puts in the background so
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts tests marked as slow after all others, and keeps the order otherwise."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
