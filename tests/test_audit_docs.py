"""The example in docs/audit.md runs, and is exact."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from crt_verify.audit import audit

TEXT = (Path(__file__).parent.parent / "docs" / "audit.md").read_text(encoding="utf-8")


def test_the_example_is_exact() -> None:
    (code,) = (each for each in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "def verify" in each)
    names: dict[str, Any] = {}

    exec(code, names)

    assert audit(names["verify"], trials=20).exact
