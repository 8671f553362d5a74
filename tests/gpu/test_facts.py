"""The facts of a machine: carried packages import, or the part fails."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import facts
import pytest


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("json", "fine"),
        ("no_such_package", "not installed"),
        ("broken_package", "RuntimeError: operator torchvision::nms does not exist"),
    ],
)
def test_an_import_is_tried(module: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_package.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(str(tmp_path))

    assert facts.imported(module) == said


@pytest.mark.parametrize(("problem", "status"), [("fine", False), ("not installed", False), ("OSError: no", True)])
def test_a_package_that_does_not_import_fails_the_part(
    problem: str, status: bool, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "imported", lambda _: problem)
    monkeypatch.setattr(facts, "bandwidth", lambda _: 1.0)
    monkeypatch.setattr(sys, "argv", ["facts.py", "--rounds", "1", "--side", "8"])

    with pytest.raises(SystemExit) as ended:
        facts.main()

    assert bool(ended.value.code) == status
    assert set(json.loads((kept / "gpu-facts.json").read_text())["results"]["imports"].values()) == {problem}
