"""Slow tests run last."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts tests marked as slow after all others, and keeps the order otherwise."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)
