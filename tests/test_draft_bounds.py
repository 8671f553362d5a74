"""The table of accepted ids beside the transport bound is that of the kept results."""

from __future__ import annotations

import itertools
import json
import re
import runpy
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = [(temperature, draft) for temperature in (0.3, 1.0) for draft in ("near", "middle", "far")]


def test_the_table_is_that_of_the_kept_results() -> None:
    numbers = json.loads((ROOT / "bench" / "results" / "draft_bounds.json").read_text())["numbers"]
    text = (ROOT / "docs" / "studies.md").read_text()
    shown = re.findall(
        r"^\| `([a-z-]+)`(, delayed)? \| (\d\.\d\d \(\d\.\d\d\)(?: \| \d\.\d\d \(\d\.\d\d\)){5}) \|$", text, re.M
    )
    names = {name.split(", near draft")[0] for name in numbers if ", near draft" in name}

    def cell(name: str, temperature: float, draft: str) -> str:
        place = f"{name}, {draft} draft, temperature {temperature}"
        return f"{numbers[f'{place}, ids accepted']:.2f} ({numbers[f'{place}, of the bound in total']:.2f})"

    assert {name + late: cells.split(" | ") for name, late, cells in shown} == {
        name: [cell(name, *column) for column in COLUMNS] for name in names
    }


def test_at_each_temperature_a_rule_reaches_the_bound_at_the_root() -> None:
    numbers = json.loads((ROOT / "bench" / "results" / "draft_bounds.json").read_text())["numbers"]
    roots = [
        max(value for name, value in numbers.items() if name.endswith("root") and f"temperature {temperature}," in name)
        for temperature in (0.3, 1.0)
    ]

    assert all(0.95 <= root <= 1 + 1e-9 for root in roots)


def test_what_trained_drafts_come_to_is_that_of_the_kept_results() -> None:
    record = json.loads((ROOT / "bench" / "results" / "multi-draft.json").read_text())
    text = (ROOT / "docs" / "studies.md").read_text().partition("### Several drafts on Python source")[2]
    table = text.partition("\n\n![")[0].splitlines()
    shown = [line for line in table if line.startswith("| `")]
    study: dict[str, Any] = runpy.run_path(str(ROOT / "bench" / "multi_draft.py"))

    assert shown == list(study["rows"](record))
    assert len(shown) == 8
    words = " ".join(text.split())
    assert f"takes {study['cost'](record):.2f} of one" in words
    dear, cheap = (
        [
            round(100 * study["lead"](record, *each, price)) - 100
            for each in itertools.product((0.3, 1.0), (40, 150, 400))
        ]
        for price in (study["cost"](record), study["CHEAP"])
    )
    assert f"several drafts is {min(dear)} to {max(dear)} % ahead" in words
    poor = [cheap[place] for place in (0, 1, 3, 4)]
    assert f"it is {min(poor)} to {max(poor)} % ahead with drafts of 40 and 150 steps, and 2 % behind" in words
    assert [cheap[2], cheap[5]] == [-2, -2]


def test_with_trained_drafts_a_rule_reaches_the_bound_at_the_root() -> None:
    record = json.loads((ROOT / "bench" / "results" / "multi-draft.json").read_text())
    study: dict[str, Any] = runpy.run_path(str(ROOT / "bench" / "multi_draft.py"))

    for temperature in (0.3, 1.0):
        assert study["root"](record, "`greedy-tree`", temperature)["value"] >= 0.95
