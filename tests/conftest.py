"""Slow tests run last."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests that are marked as slow behind all others; the order is otherwise as it was."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
