"""Fixtures for the torch-free front: a plugin, a registry with it, a spec file, the command."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

import crt_cli.guard
from crt_basics import plugin as basics
from crt_data import plugin as data
from crt_run import plugin as engine
from crt_scaling import plugin as scaling
from crtcore.registry import Registry

settings.register_profile("front", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("front")

SAMPLE = """\
name = "sample"
seed = 3

[experiment]
use = "two-stage"

[dataset]
use = "digits"

[tokenizer]
use = "patches"
channels = 4

[bottleneck]
use = "book"
codes = 16

[[regularizer]]
use = "ordered"
weight = 0.5

[[regularizer]]
use = "ordered"
optimizer.learning_rate = 0.25

[prior]
use = "table"
order = 1

[decoder]
use = "ancestral"

[sampling]
temperature = 0.5

[[metric]]
use = "frechet"

[training.tokenizer]
steps = 20

[training.prior]
steps = 30
"""

NO_TORCH = """\
from importlib.machinery import PathFinder

find = PathFinder.find_spec


class Hidden:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == "torch" else find(name, path, target)


PathFinder.find_spec = Hidden.find_spec
"""

Crt = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def planted() -> ModuleType:
    """The plugin of the tests."""
    spec = importlib.util.spec_from_file_location("planted", Path(__file__).with_name("planted.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["planted"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def registry(planted: ModuleType) -> Registry:
    """Components of this repository that need no files, and the plugin's."""
    plugins = {"basics": basics, "data": data, "run": engine, "scaling": scaling}
    brought = [(name, component) for name, plugin in plugins.items() for component in plugin.crt_components()]
    return Registry.of([*brought, *(("planted", component) for component in planted.COMPONENTS)])


@pytest.fixture(scope="session")
def sample() -> str:
    """The text of a valid spec file."""
    return SAMPLE


@pytest.fixture
def guard() -> Iterator[None]:
    """Calls of plugins' code are guarded as in a command."""
    with crt_cli.guard.installed():
        yield


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    """A valid spec file."""
    path = tmp_path / "sample.toml"
    path.write_text(SAMPLE)
    return path


def install(site: Path, name: str, text: str) -> None:
    """Lays a distribution with one plugin module into a folder."""
    (site / f"{name}.py").write_text(text)
    about = site / f"{name}-0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text(f"[crtcore]\n{name} = {name}\n")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH: the plugin installed, torch hidden."""
    folder = tmp_path_factory.mktemp("site")
    install(folder, "planted", Path(__file__).with_name("planted.py").read_text())
    (folder / "sitecustomize.py").write_text(NO_TORCH)
    return folder


@pytest.fixture
def crt(site: Path, tmp_path: Path) -> Crt:
    """Runs the command in a process without torch; `broken` is the text of one more plugin."""

    def call(*words: str | Path, broken: str | None = None) -> subprocess.CompletedProcess[str]:
        path = [site]
        if broken is not None:
            (tmp_path / "more").mkdir()
            install(tmp_path / "more", "unlucky", broken)
            path.append(tmp_path / "more")
        return subprocess.run(
            [sys.executable, "-m", "crt_cli", *map(str, words)],
            capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))},
        )  # fmt: skip

    return call
