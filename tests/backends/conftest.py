"""What the tests of backends share: the folder's modules by name, one thread, and quiet backends."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parent))
torch.set_num_threads(1)
logging.getLogger("xformers").setLevel(logging.ERROR)  # it warns of libraries that a CPU does not have


def pytest_report_header() -> str:
    """The versions that matter, which the table of the matrix has."""
    names = ("torch", "xformers", "numpy", "scipy", "jaxtyping", "attrs", "pytest")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in names if importlib.util.find_spec(name)]
    return f"versions: {', '.join(versions)}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips the tests of xformers where it is not installed."""
    if importlib.util.find_spec("xformers") is None:
        skip = pytest.mark.skip(reason="xformers is not installed")
        for item in items:
            if item.path.parent == Path(__file__).parent and "xformers" in item.nodeid:
                item.add_marker(skip)
