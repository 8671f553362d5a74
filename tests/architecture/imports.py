"""Who imports whom, read from the sources: imports inside functions and those for type checkers are counted too."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"[A-Za-z0-9_.-]+")


def packages() -> dict[str, Path]:
    """Name of each import package of the repository to its folder."""
    plugins = {path.name: path for path in ROOT.glob("plugins/*/crt_*") if path.is_dir()}
    return {"crtcore": ROOT / "crtcore"} | dict(sorted(plugins.items()))


def modules() -> dict[str, Path]:
    """Dotted name of each module to its file."""
    named = {}
    for package, folder in packages().items():
        for path in folder.rglob("*.py"):
            parts = (package, *path.relative_to(folder).with_suffix("").parts)
            named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


def sources() -> list[Path]:
    """Every source file but tests: packages, benches and scripts, those without an ending too."""
    files = [*ROOT.glob("plugins/*.py"), *ROOT.glob("bench/**/*"), *ROOT.glob("findings/**/*"), *ROOT.glob(".ci/*")]
    others = (path for path in files if path.suffix in ("", ".py", ".sh") and path.is_file())
    return [*modules().values(), *others]


def imported(tree: ast.AST) -> Iterator[str]:
    """Every name that is imported anywhere in a module; imports here are absolute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports are not read"
            yield from (f"{node.module}.{each.name}" for each in node.names)


def graph(named: Mapping[str, Path]) -> dict[str, set[str]]:
    """Module to the modules here that it imports; the face of a package only hands names on, and imports nothing."""
    arrows: dict[str, set[str]] = {}
    for module, path in named.items():
        names = () if path.name == "__init__.py" else imported(ast.parse(path.read_text(encoding="utf-8")))
        arrows[module] = {target for name in names if (target := _longest(name, named)) and target != module}
    return arrows


def _longest(name: str, named: Mapping[str, Path]) -> str:
    """The module that a dotted name is, or is in; empty: none here."""
    while name and name not in named:
        name = name.rpartition(".")[0]
    return name


def requirements() -> dict[str, set[str]]:
    """Import package to the packages here that its `pyproject.toml` names as dependencies."""
    known, needed = packages(), {}
    for package, folder in known.items():
        about = tomllib.loads((folder.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        matches = [NAME.match(each) for each in about["dependencies"]]
        needed[package] = {each[0].replace("-", "_") for each in matches if each} & set(known)
    return needed


def floors(needed: Mapping[str, set[str]]) -> dict[str, int]:
    """Package to its floor: 1 for one that needs no other, else one above the highest that it needs.

    Raises: RecursionError if packages need each other in a circle.
    """
    return {package: _floor(package, needed) for package in needed}


def _floor(package: str, needed: Mapping[str, set[str]]) -> int:
    return 1 + max((_floor(other, needed) for other in needed[package]), default=0)
