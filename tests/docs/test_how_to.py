"""The pages of the kinds name every law, and the pages that list things list all of them."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    ("page", "pattern", "folder"),
    [
        ("decisions/README.md", "*.md", "decisions"),
        ("packages.md", "*/README.md", "../plugins"),
        ("how-to/README.md", "*.md", "how-to"),
    ],
)
def test_a_list_of_pages_is_whole(page: str, pattern: str, folder: str) -> None:
    linked = {
        ((DOCS / page).parent / link).resolve()
        for link in re.findall(r"\]\(([^)#]*\.md)", (DOCS / page).read_text(encoding="utf-8"))
    }
    there = {path.resolve() for path in (DOCS / folder).glob(pattern)} - {(DOCS / page).resolve()}

    assert there - linked == set()
    assert all(path.exists() for path in linked)


def test_the_packages_of_the_reference_are_all_packages() -> None:
    listed = re.findall(r"^api/(\w+)/\1$", (DOCS / "reference" / "README.md").read_text(), re.MULTILINE)
    packages = [path.name.replace("-", "_") for path in ROOT.glob("plugins/crt-*")]

    assert sorted(listed) == sorted(["crtcore", *packages])


def test_the_numbers_of_the_trade_off_are_those_of_the_kept_results() -> None:
    numbers = json.loads((ROOT / "bench" / "results" / "quickstart.json").read_text())["arms"]["crt"]
    text = (DOCS / "trade-off.md").read_text(encoding="utf-8")
    names = ("id_code_length_bits", "data_given_ids_bits", "two_part_code_length_bits")
    changes = [tables.change(numbers[name]["difference"]).partition(" (")[0] for name in names]

    assert len(changes) == 3
    assert all(change.lstrip("+-") in text for change in changes)
