"""Tables at any width: names and units stay, numbers are whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from rich.table import Table

from crt_cli.layout import show
from crt_run.cli.watch import Watch
from crt_run.present import tables

WIDTHS = ["20", "40", "80", "200", None]
ARMS = ["baseline", "crt", "gaussian-32-with-a-very-long-name-of-its-own-that-fills-a-line", "a4", "a5", "a6", "a7"]


def number(value: float, low: float, high: float, unit: str) -> dict[str, Any]:
    difference = {"value": -4.875, "unit": unit, "n": 5, "low": -8.425, "high": -1.325, "same_sign": 5}
    return {"value": value, "unit": unit, "n": 5, "low": low, "high": high, "difference": difference}


@pytest.fixture
def sweep() -> dict[str, Any]:
    """A sweep of seven arms."""
    numbers = {
        "two_part_code_length_bits": number(160.74, 157.74, 163.74, "bits"),
        "generation_frechet_distance_of_samples": number(0.0000123, 0.0000113, 0.0000133, "squared whitened units"),
    }
    return {"name": "study", "baseline": "baseline", "arms": dict.fromkeys(ARMS, numbers)}


def shown(table: Table, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: str | None) -> str:
    monkeypatch.delenv("COLUMNS", raising=False)
    if width:
        monkeypatch.setenv("COLUMNS", width)
    show(table)
    return capsys.readouterr().out


def words(text: str) -> list[str]:
    """Every word that is printed, those of a column that wraps in their order."""
    return re.sub("[│┃┏┓┡┩└┘━─┳╇┴]", " ", text).split()


@pytest.mark.parametrize("width", WIDTHS)
def test_every_number_name_and_unit_of_a_comparison_is_shown_whole(
    sweep: dict[str, Any], width: str | None, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(tables.comparison(sweep), capsys, monkeypatch, width)

    assert "…" not in text
    assert text.count("160.7 ± 3.0") == len(ARMS)
    assert text.count("-4.88 ± 3.55 (5/5)") == 2 * len(ARMS)
    blocks = text.count("┏")
    joined = " ".join(words(text)).replace(" ", "")
    assert joined.count("bits") >= blocks
    for name in ("baseline", "crt"):
        assert name in joined


@pytest.mark.parametrize("width", ["40", "80", "200"])
def test_lines_are_no_longer_than_the_terminal_where_numbers_leave_room(
    sweep: dict[str, Any], width: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(tables.comparison(sweep), capsys, monkeypatch, width)

    narrowest = max(int(width), 2 * 3 + 1 + len("-4.88 ± 3.55 (5/5)") + max(map(len, ("generation", "whitened"))))
    assert max(map(len, text.splitlines())) <= narrowest


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_of_text_alone_wraps_and_loses_nothing(
    width: str | None, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = Table("component", "demands", box=None, pad_edge=False)
    table.add_row(
        "bottleneck/a-name-without-any-space-in-it-at-all", "the mean rate is at least the entropy of the ids"
    )

    text = shown(table, capsys, monkeypatch, width)

    assert sorted("".join(text.split())) == sorted(
        "componentdemandsbottleneck/a-name-without-any-space-in-it-at-allthemeanrateisatleasttheentropyoftheids"
    )


@pytest.mark.parametrize("width", ["40", "80"])
def test_progress_shows_the_whole_name_and_all_digits(
    toy: Callable[..., Any], width: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    watch = Watch(toy(), quiet=False)
    name = "baseline, a-setting-with-a-long-name=0.5, seed 1234567: tokenizer"
    watch.bar.add_task(name, total=123_456, completed=98_765)

    watch.console.print(watch.bar.get_renderable())

    text = capsys.readouterr().err
    assert "98765/123456" in text
    assert "…" not in text
    assert name.partition(":")[2].strip() in text.replace("\n", " ")
