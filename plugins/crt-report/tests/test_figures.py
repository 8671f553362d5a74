"""Names that legends show, and those of files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from matplotlib.figure import Figure

from crt_report import figures
from crt_report.panels import named


def ended(*stages: str) -> Any:
    """A run with two steps of each stage."""
    records = [{"stage": stage, "step": step, "distortion": float(step)} for stage in stages for step in (1, 2)]
    return SimpleNamespace(records=records, units={})


def test_a_legend_names_groups_that_the_last_panel_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(figures, "save", lambda figure, path: drawn.append(figure))

    figures.curves(
        {"other": [ended("prior"), ended("prior", "draft")], "bigram": [ended("prior")], "late": [ended("draft")]},
        tmp_path / "curves.png",
    )

    (legend,) = [axis.get_legend() for axis in drawn[0].axes if axis.get_legend()]
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["other", "bigram", "late"]


def test_the_first_panel_with_a_name_shows_it() -> None:
    left, right = Figure().subplots(1, 2)
    right.plot([0], [0], label="both")
    right.plot([0], [0], label="right")
    (line,) = left.plot([0], [0], label="both")

    assert list(named([left, right])) == ["both", "right"]
    assert named([left, right])["both"] is line


def test_file_names_are_short_and_differ() -> None:
    groups = ["baseline", "a/b", "a-b", "a b", "x" * 300, "x" * 301]
    names = [figures.file_name(group) for group in groups]

    assert names[0] == "baseline"
    assert names[2] == "a-b"
    assert len(set(names)) == len(groups)
    assert max(map(len, names)) < 100
    assert not any("/" in name for name in names)
