"""The table of a sweep that is running: how far each group of its runs is, and its first numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from crt_run.present.tables import label, spread
from crt_run.runs.numbers import number
from crtcore.compose.study import Study

SHOWN = 3
"""Numbers in the table: those of claims first."""
ROWS = 12
"""Groups in the table; the last ones that a run finished in."""


def standing(study: Study, results: Mapping[int, Mapping[str, Any]]) -> Table:
    """A row for each group with a finished run: runs that finished, and means with half of the 95 % interval so far.

    `results` is of at least one point, by its index in the study.
    """
    from crt_run.sweeps.summary import summary

    measured = {name: number(each).unit for result in results.values() for name, each in result["numbers"].items()}
    names = [name for name in dict.fromkeys((*(claim.number for claim in study.claims), *measured)) if name in measured]
    groups = summary(study.points, results, study.baseline)
    ended = [study.points[index].group for index in results]
    latest = list(dict.fromkeys(reversed(ended)))[:ROWS]
    whole, done = Counter(point.group for point in study.points), Counter(ended)
    table = Table(title="so far: mean ± half of the 95 % interval over seeds", title_justify="left")
    table.add_column("", overflow="fold")
    table.add_column("runs", justify="right", no_wrap=True)
    for name in names[:SHOWN]:
        table.add_column(Text.assemble(label(name), (f"\n{measured[name]}", "dim")), justify="right")
    for group in [each for each in groups if each in latest]:
        cells = [spread(groups[group][name]) if name in groups[group] else "" for name in names[:SHOWN]]
        table.add_row(Text(group), f"{done[group]}/{whole[group]}", *map(Text, cells))
    return table
