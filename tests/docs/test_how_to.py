"""The pages of the kinds name every law, links lead to files, and numbers are those of the kept results."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

import pytest

from crt_laws import benches
from crt_run.present import tables
from crtcore.kinds import KINDS

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_of_a_kind_names_every_law(kind: str) -> None:
    named = re.findall(r"^\| `([a-z0-9-]+)` \|", (DOCS / "how-to" / f"{kind}.md").read_text(), re.MULTILINE)
    laws = [law.name for law in benches()[kind].laws]

    assert laws
    assert sorted({*laws} - {*named}) == []


def test_the_list_of_how_tos_has_every_kind() -> None:
    text = (DOCS / "how-to" / "README.md").read_text(encoding="utf-8")

    assert set(re.findall(r"\]\((\w+)\.md\) \|$", text, re.MULTILINE)) == {*KINDS}


def test_links_between_files_lead_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md"), *ROOT.glob("plugins/*/README.md")]
    lost = [
        (str(page.relative_to(ROOT)), link)
        for page in pages
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).is_file()
    ]

    assert len(pages) > 50
    assert lost == []


def test_the_numbers_of_the_trade_off_are_those_of_the_kept_results() -> None:
    numbers = json.loads((ROOT / "bench" / "results" / "quickstart.json").read_text())["arms"]["crt"]
    text = (DOCS / "trade-off.md").read_text(encoding="utf-8")
    names = ("id_code_length_bits", "data_given_ids_bits", "two_part_code_length_bits")
    changes = [tables.change(numbers[name]["difference"]).partition(" (")[0] for name in names]

    assert len(changes) == 3
    assert all(change.lstrip("+-") in text for change in changes)


def test_docstrings_become_restructured_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS / "extensions")
    restructured = importlib.import_module("plain_docstrings").restructured

    assert restructured(["Over all `extend`s, a*b."]) == [r"Over all ``extend``\ s, a\*b."]
    assert restructured(["Raises: `RunError`."]) == ["", "**Raises:** ``RunError``."]
