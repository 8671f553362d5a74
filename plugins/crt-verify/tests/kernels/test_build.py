"""Compiling at first use: what several do at once comes out as if one had."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crt_verify.kernels import build


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Sources that take no time to compile, and an empty folder for what comes of them."""
    (tmp_path / "tiny.cpp").write_text('extern "C" int seven() { return 7; }\n')
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    build.source_hash.cache_clear()
    yield tmp_path / "cache" / "crt-verify"
    build.source_hash.cache_clear()


def test_those_who_compile_at_once_get_one_whole_library(tiny: Path) -> None:
    def compiled(_: int) -> Path:
        made = build.compiled("g++", "tiny.cpp", ("-shared", "-fPIC"), targets=("host",), part="host")
        assert ctypes.CDLL(str(made)).seven() == 7
        return made

    with ThreadPoolExecutor(4) as workers:
        made = set(workers.map(compiled, range(8)))

    assert sorted(path.suffix for path in tiny.iterdir()) == [".json", ".so"]  # and nothing half made
    assert len(made) == 1
