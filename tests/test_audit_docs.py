"""The examples in docs/audit.md run, and are exact."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np

from crt_verify.audit import audit

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "audit.md").read_text(encoding="utf-8")
RECORD = json.loads((ROOT / "bench" / "results" / "audit.json").read_text(encoding="utf-8"))


def test_the_example_is_exact() -> None:
    (code,) = (each for each in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "def verify" in each)
    names: dict[str, Any] = {}

    exec(code, names)

    assert audit(names["verify"], trials=20).exact


def test_the_example_of_what_only_draws_shows_no_difference() -> None:
    """Two boxes of 100,000 fair rows, at a rate of false alarms of 0.001; seeds are fixed."""
    (code,) = (each for each in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "audit_samples" in each)

    def box(seed: int) -> Any:
        generator = np.random.default_rng(seed)
        return lambda count: generator.integers(3, size=(count, 3))

    law, against = code.split("report = compare_samples")
    for part in (law, "from crt_verify.audit.sampled import compare_samples\nreport = compare_samples" + against):
        names: dict[str, Any] = {"draw": box(0), "other": box(1), "target": lambda prefix: [1 / 3] * 3}
        exec(part, names)

        report = names["report"]
        assert report.exact is None
        assert 0 < report.power < 0.9
        assert report.needed > 100_000


def test_what_was_audited_is_that_of_the_kept_results() -> None:
    table = TEXT.partition("## What was audited")[2].partition("\n\nThe record")[0]
    ran = [line for line in table.splitlines()[4:] if "| not run: " not in line]

    assert ran == list(runpy.run_path(str(ROOT / "bench" / "audits.py"))["rows"](RECORD))
    assert len(ran) == 14


def test_the_samples_that_a_bias_takes_are_those_of_the_kept_results() -> None:
    (package,) = (each for each in RECORD["audited"] if each["name"] == "llama-cpp-python")
    known, compared = ([each for each in package["audits"] if each["against"] is two] for two in (False, True))
    needed = [each["needed"] for each in known]
    words = " ".join(TEXT.split())

    assert f"{min(needed):,} to {max(needed):,} samples would be needed" in words
    assert [f"and {each['needed']:,} of each with the penalty" in words for each in compared] == [True]
    assert f"rows have up to {max(each['cells'] for each in known)} cells" in words
    assert max(each["power"] for each in package["audits"]) < 0.01
    assert len(known) == 5
