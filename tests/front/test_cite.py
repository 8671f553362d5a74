"""Every paper that a component states as its source has an entry, and `crt cite` prints it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from crt_cli.cite import citation, own, references
from crtcore.registry import Registry, discover

from .conftest import Crt

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted(path.parent.name for path in ROOT.glob("plugins/*/crt_*/references.bib"))


@pytest.fixture(scope="module")
def installed() -> Registry:
    """Everything that is installed."""
    return discover()


def numbers(registry: Registry) -> dict[str, set[str]]:
    """Package to the arXiv numbers that its specs state."""
    stated: dict[str, set[str]] = {}
    for _, component in registry:
        package = component.spec.__module__.partition(".")[0]
        stated.setdefault(package, set()).update(citation(component.spec, registry).numbers)
    return stated


@pytest.mark.parametrize("package", PACKAGES)
def test_the_entries_of_a_package_are_those_that_its_components_state(package: str, installed: Registry) -> None:
    (spec, *_) = (each.spec for _, each in installed if each.spec.__module__.startswith(f"{package}."))

    assert set(references(spec)) == numbers(installed)[package]


def test_no_package_states_papers_without_entries(installed: Registry) -> None:
    stated = {package for package, papers in numbers(installed).items() if papers and package.startswith("crt_")}

    assert stated == set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_an_entry_has_an_author_a_title_and_the_year_of_its_number(package: str) -> None:
    (path,) = ROOT.glob(f"plugins/*/{package}/references.bib")
    text = path.read_text(encoding="utf-8")

    assert text.count("{") == text.count("}")
    for entry in re.split(r"(?m)^(?=@)", text)[1:]:
        fields = dict(re.findall(r"(?m)^  (\w+) = \{(.*)\},$", entry))
        assert {"author", "title", "year", "eprint", "archiveprefix"} == set(fields)
        assert fields["year"] == f"20{fields['eprint'][:2]}"


def test_a_paper_is_the_same_in_every_package(installed: Registry) -> None:
    entries: dict[str, set[str]] = {}
    for _, component in installed:
        for number, entry in references(component.spec).items():
            entries.setdefault(number, set()).add(entry)

    assert all(len(same) == 1 for same in entries.values())


def test_the_command_prints_sources_and_entries(crt: Crt) -> None:
    ended = crt("cite", ROOT / "specs" / "quickstart.toml")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "% bottleneck 'vq' of plugin 'vq'" in ended.stdout
    assert "@misc{vandenoord2017neural," in ended.stdout
    assert "@software{crtcore," in ended.stdout
    assert ended.stdout.count("eprint = {2412.16326}") == 1


def test_a_part_that_is_set_on_the_command_line_is_cited(crt: Crt) -> None:
    ended = crt("cite", ROOT / "specs" / "quickstart.toml", "--set", 'decoder.use="block"', "--json")

    document: dict[str, Any] = json.loads(ended.stdout)
    assert "2403.10444" in document["entries"]
    assert "2211.17192" not in document["entries"]
    assert all(document["entries"].values())


def test_the_software_is_cited_as_in_the_citation_file() -> None:
    yaml = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    (released,) = re.findall(r'(?m)^date-released: "?(\d{4})', yaml)
    (title,) = re.findall(r'(?m)^title: "(.*)"$', yaml)

    assert f"version = {{{version}}}" in own()
    assert f"year = {{{released}}}" in own()
    assert f"title = {{{title}}}" in own()
