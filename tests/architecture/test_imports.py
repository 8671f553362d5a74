"""The structure of the repository: no circles, arrows that point down, a small core that needs no torch."""

from __future__ import annotations

import graphlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

sys.path.extend([str(Path(__file__).resolve().parent / folder) for folder in (".", "..", "../../plugins")])
from imports import ROOT, floors, graph, modules, packages, requirements, sources
from install import projects
from wheels import beside

IMPORT = re.compile(r"^\s*(?:from|import) (\w+)", re.MULTILINE)
CORE_LINES = 3150
FILE_LINES = 300
FREE = {
    "crtcore": {"torch", "numpy", "scipy", "jaxtyping", "click", "rich"},
    "crt_cli": {"torch", "numpy", "scipy", "jaxtyping"},
}
"""Package to what no module of it imports."""
BLOCKED = """\
import sys
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = lambda name, path=None, target=None: None if name in {blocked} else find(name, path, target)
import importlib
for module in {modules}:
    importlib.import_module(module)
assert not {blocked} & set(sys.modules)
"""


def order(arrows: dict[str, set[str]]) -> list[str]:
    """Modules, each after those that it imports; CycleError names a circle."""
    return list(graphlib.TopologicalSorter(arrows).static_order())


def test_no_modules_import_each_other_in_a_circle() -> None:
    arrows = graph(modules())

    assert len(order(arrows)) == len(arrows)


def test_a_circle_through_a_late_import_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("def f():\n    import two\n")
    (tmp_path / "two.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from one import f\n")

    with pytest.raises(graphlib.CycleError):
        order(graph({"one": tmp_path / "one.py", "two": tmp_path / "two.py"}))


def test_a_package_imports_only_packages_that_it_names() -> None:
    needed = requirements()
    arrows = {
        (module, target)
        for module, targets in graph(modules()).items()
        for target in targets
        if (own := module.partition(".")[0]) != (other := target.partition(".")[0]) and other not in needed[own]
    }

    assert arrows == set()


def test_the_tests_of_a_package_import_only_what_they_are_run_beside() -> None:
    """The packages that the package names, and those of its extra `testing`."""
    known, more = projects(), []
    for name in known.keys() - {"crtcore"}:
        there = {each.replace("-", "_") for each in beside(name, known)}
        for file in known[name].glob("tests/**/*.py"):
            named = set(IMPORT.findall(file.read_text(encoding="utf-8"))) & packages().keys()
            more += [(str(file.relative_to(ROOT)), each) for each in named - there]

    assert more == []


def test_every_named_package_is_on_a_lower_floor_and_is_imported() -> None:
    needed = requirements()
    floor = floors(needed)
    imported = {
        (module.partition(".")[0], target.partition(".")[0]) for module, targets in graph(modules()).items()
        for target in targets
    }  # fmt: skip

    for package, others in needed.items():
        for other in others:
            assert floor[other] < floor[package]
            assert (package, other) in imported, f"{package} names {other} and does not import it"


def test_the_list_of_packages_is_that_of_the_folders() -> None:
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert about["optional-dependencies"]["all"] == sorted(path.name for path in (ROOT / "plugins").glob("crt-*"))


def test_the_core_is_small() -> None:
    lines = sum(len(path.read_text().splitlines()) for path in packages()["crtcore"].rglob("*.py"))

    assert lines <= CORE_LINES


def test_no_source_file_is_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources()}

    assert {"bench/front.py", "bench/gpu/carry", "crtcore/spec.py", "plugins/install.py"} <= lengths.keys()
    assert {name: lines for name, lines in lengths.items() if lines > FILE_LINES} == {}


@pytest.mark.parametrize("package", FREE)
def test_every_module_of_the_core_and_the_command_line_imports_without_torch(package: str) -> None:
    named = [module for module in modules() if module.partition(".")[0] == package]
    text = BLOCKED.format(blocked=FREE[package], modules=named)

    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, cwd=ROOT)

    assert ended.returncode == 0, ended.stderr


def test_the_picture_of_the_floors_is_that_of_the_packages() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    (picture,) = re.findall(r"```floors\n(.*?)```", text, re.DOTALL)
    drawn = {name.replace("-", "_"): int(row[0]) for row in map(str.split, picture.splitlines()) for name in row[1:]}

    assert drawn == floors(requirements())
