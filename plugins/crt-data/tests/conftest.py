"""Runs tests on one thread, checks shape annotations, and keeps tables of archives out of the user's cache."""

from pathlib import Path

import jaxtyping
import pytest
import torch

torch.set_num_threads(1)  # more are far slower on a loaded machine
jaxtyping.install_import_hook(["crt_data"], "beartype.beartype")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "crt-data"
