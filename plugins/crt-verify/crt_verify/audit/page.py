"""An audit as one HTML page without outside resources or scripts: verdict, settings, and the picture of both laws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable
from xml.etree.ElementTree import Element, SubElement, tostring

SHOWN = 24
"""Rows of ids in the picture, those that differ most."""
LABEL, BAR, ROW = 230.0, 360.0, 34.0
"""Widths of a label and of the longest bar, and the height of a row, in pixels."""
LONGEST = 30
"""Characters of a label."""
STYLE = """
  :root { color-scheme: light dark; --text: #222; --back: #fff; --quiet: #666; --line: #ddd; --block: #f6f6f6;
    --own: #2471a3; --target: #b9770e; --bad: #a93226; }
  @media (prefers-color-scheme: dark) { :root { --text: #ddd; --back: #16181c; --quiet: #a0a0a0; --line: #3a3d42;
    --block: #22252a; --own: #5dade2; --target: #f0b27a; --bad: #ec7063; } }
  body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); max-width: 68rem;
    margin: 2rem auto; padding: 0 1rem; }
  h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
  table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
  th, td { padding: .3rem .8rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
  th:first-child, td:first-child, .left td { text-align: left; }
  .verdict { font-size: 1.15rem; font-weight: 600; } .bad { color: var(--bad); }
  svg { max-width: 100%; height: auto; } svg text { fill: var(--text); font: 11px ui-monospace, monospace; }
  .own { fill: var(--own); } .target { fill: var(--target); }
  figure { margin: 1rem 0; } figcaption, .quiet { color: var(--quiet); }
  pre { background: var(--block); padding: .8rem; overflow-x: auto; font-size: 13px; }
"""


@runtime_checkable
class Shown(Protocol):
    """A report that has a page."""

    @property
    def exact(self) -> bool | None:
        """Whether what was audited is exact; None: no difference was seen."""

    def rows(self) -> Sequence[tuple[str, float, float]]:
        """Rows of ids, the probability that each is emitted with, and that of the target."""


def page(report: Shown, title: str, settings: Mapping[str, object]) -> str:
    """The page of a report; `settings` are what it was made with."""
    html = Element("html", lang="en")
    head, body = SubElement(html, "head"), SubElement(html, "body")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    _add(head, "title", f"Audit of {title}")
    _add(head, "style", STYLE)
    verdict, *more = str(report).split("\n")
    _add(body, "h1", f"Audit of {title}")
    _add(body, "p", verdict, {"class": "verdict bad" if report.exact is False else "verdict"})
    if more:
        _add(body, "pre", "\n".join(more))
    if rows := [row for row in report.rows() if row[1] or row[2]]:
        worst = sorted(rows, key=lambda row: (-round(abs(row[1] - row[2]), 9), -row[2]))[:SHOWN]
        _add(body, "h2", "What is emitted, and the target")
        figure = SubElement(body, "figure")
        figure.append(_picture(worst))
        few = (
            f"The {len(worst)} of {len(rows)} rows of ids that differ most."
            if len(worst) < len(rows)
            else "All rows of ids that come."
        )
        _add(figure, "figcaption", f"{few} Upper bars: emitted. Lower bars: target.")
        _table(body, worst)
    _add(body, "h2", "Settings")
    table = SubElement(body, "table", {"class": "left"})
    for name, value in settings.items():
        line = SubElement(table, "tr")
        _add(line, "td", name)
        _add(SubElement(line, "td"), "code", str(value))
    return "<!doctype html>\n" + tostring(html, "unicode", "html") + "\n"


def _add(parent: Element, tag: str, text: str, attributes: Mapping[str, str] | None = None) -> Element:
    element = SubElement(parent, tag, dict(attributes or {}))
    element.text = "".join(each if each.isprintable() or each == "\n" else repr(each)[1:-1] for each in text)
    return element


def _picture(rows: Sequence[tuple[str, float, float]]) -> Element:
    most = max(max(own, true) for _, own, true in rows) or 1.0
    width, height = LABEL + BAR + 90, 30 + ROW * len(rows)
    svg = Element("svg", {"viewBox": f"0 0 {width:.0f} {height:.0f}", "width": f"{width:.0f}", "role": "img"})
    _add(svg, "title", "Probability of rows of ids: emitted, and of the target. The table below has the numbers.")
    for place, (name, kind) in enumerate((("emitted", "own"), ("target", "target"))):
        _rect(svg, LABEL + 110 * place, 4.0, 12.0, 12.0, kind)
        _label(svg, LABEL + 110 * place + 18, 14.0, name)
    for place, (name, own, true) in enumerate(rows):
        top = 28 + ROW * place
        short = name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."
        _label(svg, LABEL - 8, top + 17, short, "end")
        for below, (value, kind) in enumerate(((own, "own"), (true, "target"))):
            _rect(svg, LABEL, top + 13 * below, BAR * value / most, 11.0, kind)
            _label(svg, LABEL + BAR * value / most + 6, top + 13 * below + 10, f"{value:.4g}")
    return svg


def _rect(svg: Element, left: float, top: float, width: float, height: float, kind: str) -> None:
    sizes = {"x": left, "y": top, "width": width, "height": height}
    SubElement(svg, "rect", {"class": kind, **{name: f"{value:.2f}" for name, value in sizes.items()}})


def _label(svg: Element, left: float, bottom: float, text: str, anchor: str = "start") -> None:
    _add(svg, "text", text, {"x": f"{left:.2f}", "y": f"{bottom:.2f}", "text-anchor": anchor})


def _table(body: Element, rows: Sequence[tuple[str, float, float]]) -> None:
    table = SubElement(body, "table")
    line = SubElement(table, "tr")
    for name in ("ids", "emitted", "target", "difference"):
        _add(line, "th", name, {"scope": "col"})
    for name, own, true in rows:
        line = SubElement(table, "tr")
        for text in (name, f"{own:.6g}", f"{true:.6g}", f"{own - true:+.3g}"):
            _add(line, "td", text)
