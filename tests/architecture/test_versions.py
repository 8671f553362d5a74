"""All packages have one version, and what is written about it agrees."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import crtcore
from crtcore.hooks import INTERFACE

sys.path.append(str(Path(__file__).resolve().parents[2] / "plugins"))
import install

ROOT = install.ROOT
PROJECTS = {name: install.about(path) for name, path in install.projects().items()}
LOWEST = re.compile(r"([A-Za-z0-9_-]+)>=([0-9.]+)")


def least(name: str) -> str:
    """The oldest version of an outside package that the packages here allow; they name the same one."""
    bounds = {
        match[2]
        for about in PROJECTS.values() for each in about["dependencies"]
        if (match := LOWEST.match(each)) and match[1] == name
    }  # fmt: skip
    (one,) = bounds
    return one


@pytest.mark.parametrize("name", PROJECTS)
def test_a_package_has_the_version_of_the_core(name: str) -> None:
    assert PROJECTS[name]["version"] == crtcore.__version__


def test_the_citation_has_the_version_of_the_core() -> None:
    (version,) = re.findall(r"(?m)^version: (.*)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"))

    assert version == crtcore.__version__


def test_the_citation_has_what_the_format_requires() -> None:
    """Keys and forms of the schema of the Citation File Format 1.2.0."""
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    fields = dict(re.findall(r'(?m)^([a-z-]+): "?(.*?)"?$', text))

    assert {"cff-version", "message", "title", "authors"} <= set(re.findall(r"(?m)^([a-z-]+):", text))
    assert fields["cff-version"] == "1.2.0"
    assert fields["type"] == "software"
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", fields["date-released"])
    assert fields["license"] == PROJECTS["crtcore"]["license"]
    assert re.findall(r'(?m)^  - name: "(.*)"$', text) == ["The crtcore authors"]


def test_the_table_of_versions_has_a_row_for_this_one() -> None:
    text = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    python = PROJECTS["crtcore"]["requires-python"].removeprefix(">=")
    later = [f"{version} and later" for version in (python, least("torch"), least("attrs"))]

    assert [crtcore.__version__, str(INTERFACE), crtcore.__version__, *later] in rows


def test_packages_agree_on_the_oldest_version_of_what_they_share() -> None:
    bounds: dict[str, set[str]] = {}
    for about in PROJECTS.values():
        for each in about["dependencies"]:
            if match := LOWEST.match(each):
                bounds.setdefault(match[1], set()).add(match[2])

    assert {name: versions for name, versions in bounds.items() if len(versions) > 1} == {}


def test_every_kind_of_fragment_is_known_to_the_changelog() -> None:
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["towncrier"]
    kinds = {each["directory"] for each in settings["type"]}

    assert kinds == {"added", "changed", "fixed", "removed"}
    assert {path.name.split(".")[1] for path in (ROOT / "changelog.d").rglob("*.md")} <= kinds


@pytest.mark.parametrize("name", set(PROJECTS) - {"crtcore"})
def test_a_package_ships_the_licence(name: str) -> None:
    """A build takes the file from the package's own folder alone."""
    assert (install.projects()[name] / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
