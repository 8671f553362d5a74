"""Installs packages of this repository, editable, with the packages here that they depend on.

The build tools are installed once, before, so that no package is built in an environment of its own: the time does not
grow with the number of packages.

Usage: python plugins/install.py [PIP OPTION ...] REQUIREMENT ..., such as `crt-vq`, `crtcore[run]` or `pytest`
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = {"hatchling": "hatchling", "editables": "editables"}
"""Module to the package that brings it."""
REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?")


def projects() -> dict[str, Path]:
    """Name of each package here to its folder."""
    return {"crtcore": ROOT} | {path.parent.name: path.parent for path in ROOT.glob("plugins/*/pyproject.toml")}


def needed(requirement: str, known: dict[str, Path]) -> Iterator[str]:
    """The packages here that a requirement asks for, itself and through others."""
    match = REQUIREMENT.match(requirement)
    if match is None or match[1] not in known:
        return
    about = tomllib.loads((known[match[1]] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [extra.strip() for extra in (match[2] or "").split(",") if extra.strip()]
    yield match[1]
    for other in [
        *about["dependencies"],
        *(each for extra in extras for each in about["optional-dependencies"][extra]),
    ]:
        yield from needed(other, known)


def words(requirements: Sequence[str]) -> list[str]:
    """What pip is given: options and outside packages as they are, packages here as editable folders."""
    known = projects()
    here = dict.fromkeys(name for each in requirements for name in needed(each, known))
    extras = {match[1]: f"[{match[2]}]" for each in requirements if (match := REQUIREMENT.match(each)) and match[2]}
    outside = [each for each in requirements if (match := REQUIREMENT.match(each)) is None or match[1] not in known]
    return [*outside, *(word for name in here for word in ("-e", f"{known[name]}{extras.get(name, '')}"))]


def main(requirements: Sequence[str]) -> None:
    """Installs the build tools where they are missing, then everything else at once."""
    missing = [package for module, package in BUILD.items() if importlib.util.find_spec(module) is None]
    pip = [sys.executable, "-m", "pip", "install"]
    if missing:
        subprocess.run([*pip, "-q", *missing], check=True)
    subprocess.run([*pip, "--no-build-isolation", *words(requirements)], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
