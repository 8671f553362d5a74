"""The example of mixing and export in the README of crt-latent runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

README = (Path(__file__).parent.parent / "plugins/crt-latent/README.md").read_text(encoding="utf-8")


def test_traces_are_mixed_and_exported_as_in_the_readme() -> None:
    (code,) = (each for each in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "import export" in each)
    names: dict[str, object] = {}

    exec(code, names)

    folder = names["folder"]
    assert isinstance(folder, Path)
    lines = (folder / "data" / "train.jsonl").read_text().splitlines()
    assert len(lines) == 64
    assert all(max(json.loads(line)["input_ids"]) < 10 + 7 + 10 + 3 + 32 + 2 for line in lines)
