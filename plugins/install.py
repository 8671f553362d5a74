"""Installs packages of this repository, editable, with the packages here that they depend on.

The build tools are installed once, before, so that no package is built in an environment of its own: the time does not
grow with the number of packages.

Usage: python plugins/install.py [--lowest] [PIP OPTION ...] REQUIREMENT ...

A requirement is such as `crt-vq`, `crtcore[run]` or `pytest`. With `--lowest`, what the named packages here depend on
is installed in the oldest versions that they allow.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BUILD = {"hatchling": "hatchling", "editables": "editables"}
"""Module to the package that brings it."""
LOWEST = "--lowest"
REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?")


def projects() -> dict[str, Path]:
    """Name of each package here to its folder."""
    return {"crtcore": ROOT} | {path.parent.name: path.parent for path in ROOT.glob("plugins/*/pyproject.toml")}


def needed(requirement: str, known: dict[str, Path]) -> Iterator[str]:
    """The packages here that a requirement asks for, itself and through others."""
    match = REQUIREMENT.match(requirement)
    if match is None or match[1] not in known:
        return
    table = about(known[match[1]])
    extras = [extra.strip() for extra in (match[2] or "").split(",") if extra.strip()]
    yield match[1]
    for other in [
        *table["dependencies"],
        *(each for extra in extras for each in table["optional-dependencies"][extra]),
    ]:
        yield from needed(other, known)


def oldest(requirements: Sequence[str], known: dict[str, Path]) -> list[str]:
    """The oldest version that the packages here among the requirements allow of each package that they depend on."""
    named = [match[1] for each in requirements if (match := REQUIREMENT.match(each)) and match[1] in known]
    depends = [each for name in named for each in about(known[name])["dependencies"]]
    return [each.split(",")[0].replace(">=", "==") for each in depends if ">=" in each]


def about(folder: Path) -> dict[str, Any]:
    """The table `project` of a package's pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


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
    lowest = oldest(requirements, projects()) if LOWEST in requirements else []
    given = [each for each in requirements if each != LOWEST]
    subprocess.run([*pip, "--no-build-isolation", *lowest, *words(given)], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
