"""Compiling at first use: several processes at once get the same library."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crt_verify.kernels import build


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Sources that compile quickly, and an empty cache."""
    (tmp_path / "tiny.cpp").write_text('extern "C" int seven() { return 7; }\n')
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    build.source_hash.cache_clear()
    yield tmp_path / "cache" / "crt-verify"
    build.source_hash.cache_clear()


def test_concurrent_compilations_make_one_whole_library(tiny: Path) -> None:
    def compiled(_: int) -> Path:
        library = build.compiled("g++", "tiny.cpp", ("-shared", "-fPIC"), targets=("host",), part="host")
        assert ctypes.CDLL(str(library)).seven() == 7
        return library

    with ThreadPoolExecutor(4) as workers:
        libraries = set(workers.map(compiled, range(8)))

    assert sorted(path.suffix for path in tiny.iterdir()) == [".json", ".so"]  # and no partial file
    assert len(libraries) == 1
