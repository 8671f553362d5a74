"""Two numbers of a sweep against each other: which arms stand on which line, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crt_report.plane import placed, plane
from crtcore.kinds import TradeOff

TRADED = TradeOff(across="rate_nats", up="error", joined="bottleneck.use")
SPEC = """\
[bottleneck]
use = "vq"

[sweep.arms.baseline]

[sweep.arms.wide]
"bottleneck.codes" = 64

[sweep.arms.soft]
bottleneck = { use = "gaussian" }

[sweep.arms.lost]
"""


def number(mean: float, half: float | None = None) -> dict[str, Any]:
    ends = {} if half is None else {"low": mean - half, "high": mean + half}
    return {"value": mean, **ends, "n": 3, "unit": "nats", "difference": None}


def sweep(**arms: dict[str, Any]) -> dict[str, Any]:
    """The runs of two seeds of each arm, and the numbers of those that have any."""
    runs = [
        {"group": arm, "arm": arm, "settings": {}} for arm in ("baseline", "wide", "soft", "lost") for _ in range(2)
    ]
    return {"runs": runs, "arms": arms}


FOUND = sweep(
    baseline={"rate_nats": number(5.0, 0.5), "error": number(2.0, 0.1)},
    wide={"rate_nats": number(3.0), "error": number(4.0)},
    soft={"rate_nats": number(4.0, 1.0), "error": number(3.0)},
)


def documents() -> dict[str, Any]:
    import tomli

    return tomli.loads(SPEC)


def test_arms_of_one_setting_share_a_line_from_left_to_right() -> None:
    places = placed(FOUND, documents(), TRADED)

    assert [(place.group, place.line) for place in places] == [
        ("wide", "vq"),
        ("soft", "gaussian"),
        ("baseline", "vq"),
    ]


def test_a_grid_separates_lines_too() -> None:
    runs = [
        {"group": f"baseline, {index}", "arm": "baseline", "settings": settings}
        for index, settings in enumerate(
            ({"bottleneck.use": "fsq"}, {"bottleneck": {"use": "lfq", "width": 3}}, {"a": 1})
        )
    ]
    arms = {run["group"]: {"rate_nats": number(1.0), "error": number(1.0)} for run in runs}

    places = placed({"runs": runs, "arms": arms}, documents(), TRADED)

    assert [place.line for place in places] == ["fsq", "lfq", "vq"]


def test_an_arm_without_the_setting_is_a_line_of_its_own() -> None:
    places = placed(FOUND, {"sweep": documents()["sweep"]}, TRADED)

    assert [place.line for place in places] == ["wide", "gaussian", "baseline"]


def test_both_numbers_and_their_intervals_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {}

    def save(canvas: Any, path: Path) -> Path:
        (axis,) = canvas.axes
        seen["names"] = [text.get_text() for text in axis.get_legend().get_texts()]
        seen["lines"] = [[list(map(float, each)) for each in line.get_data()] for line in axis.lines]
        seen["labels"] = axis.get_xlabel(), axis.get_ylabel()
        return path

    monkeypatch.setattr("crt_report.plane.save", save)

    plane(FOUND, SPEC, TRADED, tmp_path / "plane.png")

    assert seen["names"] == ["vq", "gaussian"]
    assert seen["labels"] == ("rate (nats)", "error (nats)")
    assert [[3.0, 5.0], [4.0, 2.0]] in seen["lines"]
    assert [[4.5, 5.5], [2.0, 2.0]] in seen["lines"]
    assert [[5.0, 5.0], [1.9, 2.1]] in seen["lines"]
    assert [[3.0, 5.0], [3.0, 3.0]] in seen["lines"]


@pytest.mark.parametrize("arms", [{}, {"baseline": {"rate_nats": number(1.0), "error": number(1.0)}}])
def test_one_arm_is_no_trade_off(arms: dict[str, Any], tmp_path: Path) -> None:
    assert plane(sweep(**arms), SPEC, TRADED, tmp_path / "plane.png") is None
