"""Every spec file of the repository is valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from crtcore import discover
from crtcore.compose.plan import load

SPECS = sorted((Path(__file__).parent.parent / "specs").rglob("*.toml"))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_a_spec_file_can_be_run(path: Path) -> None:
    study = load(path, discover())

    assert study.name == path.stem
    assert study.points
