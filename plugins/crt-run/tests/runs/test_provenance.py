"""What is recorded of where a run was made."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from crt_run.runs.provenance import versions


def test_a_distribution_without_metadata_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation that was broken off, or goes on, leaves a folder without METADATA."""
    (tmp_path / "crt_half-0.1.dist-info").mkdir()
    whole = tmp_path / "crt_whole-0.2.dist-info"
    whole.mkdir()
    (whole / "METADATA").write_text("Metadata-Version: 2.1\nName: crt-whole\nVersion: 0.2\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    known = versions()

    assert known["crt-whole"] == "0.2"
    assert "torch" in known
    assert not [name for name in known if "half" in name]
