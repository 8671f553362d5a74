"""The examples in docs/audit.md run, and are exact."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from crt_verify.audit import audit

TEXT = (Path(__file__).parent.parent / "docs" / "audit.md").read_text(encoding="utf-8")


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
