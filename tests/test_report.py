"""The report draws any experiment: it knows the name of no number."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_nothing_in_the_report_names_a_number() -> None:
    studies = [json.loads(path.read_text()) for path in (ROOT / "bench" / "results").glob("*.json")]
    arms = [numbers for study in studies for numbers in study.get("arms", {}).values()]
    points = [point["numbers"] for study in studies for point in study.get("points", ())]
    names = {name for numbers in (*arms, *points) for name in numbers if "_" in name}
    package = ROOT / "plugins" / "crt-report" / "crt_report"
    sources = [path.read_text() for path in package.rglob("*") if path.suffix in (".py", ".j2")]

    named = {name for name in names if any(name in source for source in sources)}

    assert len(names) > 50
    assert len(sources) > 10
    assert named == set()
