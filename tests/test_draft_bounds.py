"""The table of accepted ids beside the transport bound is that of the kept results."""

from __future__ import annotations

import json
import re
from pathlib import Path

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
