"""A package of each kind by `crt new-plugin` passes its own tests, ruff and mypy as it is generated."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from crt_laws.scaffold.kinds import TEMPLATES
from crt_laws.scaffold.render import written

CHECKS = {
    "ruff": ("ruff", "check", "."),
    "format": ("ruff", "format", "--check", "."),
    "mypy": ("mypy",),
    "pytest": ("pytest", "-q", "-p", "no:cacheprovider"),
}
QUICK = ("executor", "regularizer")
"""Kinds that are checked in the short time."""


def installed(name: str, folder: Path) -> None:
    """Makes a package importable from its folder, as an editable installation does."""
    about = folder / f"{name.replace('-', '_')}-0.1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    component, module = name.removeprefix("crt-"), name.replace("-", "_")
    (about / "entry_points.txt").write_text(f"[crtcore]\n{component} = {module}.plugin\n")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where mypy keeps what it knows of torch, for all packages."""
    return os.environ.get("MYPY_CACHE_DIR", str(tmp_path_factory.mktemp("mypy")))


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in TEMPLATES]
)
def test_a_generated_package_passes_its_own_checks(tmp_path: Path, cache: str, kind: str) -> None:
    name = f"crt-generated-{kind}"
    written(name, kind, tmp_path)
    folder = tmp_path / name
    paths = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    around = {**os.environ, "PYTHONPATH": paths, "MYPY_CACHE_DIR": cache}
    failed = []

    for check, words in CHECKS.items():
        if check == "pytest":
            installed(name, folder)  # after ruff, which reads every file
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=folder, env=around, capture_output=True, text=True, check=False
        )
        if done.returncode:
            failed.append(f"{check}: {done.stdout[-3000:]}{done.stderr[-1000:]}")

    assert not failed, "\n".join(failed)
