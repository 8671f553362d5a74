"""The page of an audit: one file, with verdict, settings, picture and numbers."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner

from crt_verify.audit import audit
from crt_verify.audit.mistakes import CHAINS
from crt_verify.audit.page import BAR, SHOWN, page
from crt_verify.audit.walk import Walk
from crt_verify.audit_command import audit as command
from crt_verify.drafters import Chain


@attrs.frozen
class Two:
    """A report of two rows of ids."""

    exact: bool | None = None
    name: str = "[0]"

    def rows(self) -> list[tuple[str, float, float]]:
        return [(self.name, 0.25, 0.5), ("[1]", 0.75, 0.5)]

    def __str__(self) -> str:
        return "no difference seen\nmore"


class Tags(HTMLParser):
    """Every tag with its attributes, and every text with the tag it is in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._within: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag != "meta":
            self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._within.pop() == tag

    def handle_data(self, text: str) -> None:
        if text.strip():
            self.texts.append((self._within[-1], text))


def test_a_page_is_self_contained() -> None:
    text = page(Two(), "it", {"seed": 0})

    assert text.startswith('<!doctype html>\n<html lang="en">')
    assert not re.findall(r"src|href|@import|url\(|<script|<link|http", text)
    assert "prefers-color-scheme: dark" in text


def test_the_bars_are_as_long_as_their_numbers() -> None:
    tags = Tags(page(Two(), "it", {})).tags

    bars = [(each["class"], float(each["width"] or 0)) for tag, each in tags if tag == "rect"][2:]  # after the legend
    # the longest, 0.75, has the whole width
    assert bars == [("own", BAR / 3), ("target", BAR * 2 / 3), ("own", BAR), ("target", BAR * 2 / 3)]


def test_the_picture_has_a_title_and_a_table_of_its_numbers() -> None:
    parsed = Tags(page(Two(), "it", {"trials": 20}))

    assert {"role": "img"}.items() <= next(each for tag, each in parsed.tags if tag == "svg").items()
    assert any(tag == "title" and "table below" in text for tag, text in parsed.texts)
    cells = [text for tag, text in parsed.texts if tag == "td"]
    assert cells[:8] == ["[0]", "0.25", "0.5", "-0.25", "[1]", "0.75", "0.5", "+0.25"]
    assert ("code", "20") in parsed.texts
    assert ("p", "no difference seen") in parsed.texts
    assert ("pre", "more") in parsed.texts


@pytest.mark.parametrize(("exact", "kind"), [(False, "verdict bad"), (True, "verdict"), (None, "verdict")])
def test_a_verdict_that_is_not_exact_is_marked(exact: bool | None, kind: str) -> None:
    tags = Tags(page(Two(exact), "it", {})).tags

    assert [each["class"] for tag, each in tags if tag == "p"] == [kind]


def test_names_are_escaped() -> None:
    evil = "<script>alert(1)</script>\x00"

    text = page(Two(name=evil), evil, {evil: evil})

    assert "<script" not in text
    assert "\x00" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\x00" in text


def test_a_failing_verifier_s_page_shows_the_smallest_case() -> None:
    name = "every drafted id is accepted"

    report = audit(CHAINS[name], trials=8)
    parsed = Tags(page(report, name, {}))

    assert report.case is not None
    assert ("pre", "\n".join(str(report).split("\n")[1:])) in parsed.texts
    rows = sum(own > 0 or true > 0 for _, own, true in report.case.rows())
    assert sum(tag == "rect" for tag, _ in parsed.tags) == 2 + 2 * rows
    assert "smallest failing case, Chain(length=1)" in str(report)


def test_an_exact_verifier_s_page_shows_a_case() -> None:
    report = audit(Walk(), drafter=Chain(length=2), trials=6)

    parsed = Tags(page(report, "it", {}))

    assert sum(tag == "rect" for tag, _ in parsed.tags) == 2 + 2 * SHOWN  # of 27 rows
    assert any("The 24 of 27 rows" in text for _, text in parsed.texts)
    assert all(own == pytest.approx(true, abs=1e-12) for _, own, true in report.rows())


def test_the_command_writes_a_page(tmp_path: Path) -> None:
    path = tmp_path / "page.html"

    result = CliRunner().invoke(command, ["sd", "--trials", "4", "--html", str(path)])

    assert result.exit_code == 0
    assert f"page: {path}" in result.stderr
    texts = Tags(path.read_text()).texts
    assert ("h1", "Audit of sd") in texts
    assert ("code", "4") in texts
