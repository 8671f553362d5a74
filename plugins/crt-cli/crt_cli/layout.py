"""Tables on a terminal of any width: nothing is cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from crt_cli.console import room

LONG = 16
"""Characters at which a word of a heading may be broken, where there is no room."""


class Fit(NamedTuple):
    """How wide a column is: at least, and where there is room."""

    column: Column
    least: int
    most: int

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers, which are justified to the right."""
        return self.column.justify == "right"


def show(table: Table) -> None:
    """A table on stdout. Columns of numbers that find no room follow below, beside the columns that name the rows.

    Numbers stay whole: a line may be longer than the terminal. Text wraps, a long word is broken.
    """
    console = Console(width=room(), highlight=False)
    fits = [_fit(column, console) for column in table.columns]
    blocks = list(_blocks(table, fits, console))
    for place, block in enumerate(blocks):
        widths = _widths(table, block, console)
        made = _made(table, block, widths)
        made.title = table.title if place == 0 else None
        made.caption = table.caption if place == len(blocks) - 1 else None
        Console(width=max(console.width, _width(made, console)), highlight=False).print(made)


def _fit(column: Column, console: Console) -> Fit:
    cells = [_measured(cell, console) for cell in column.cells]
    heading = _measured(column.header, console)
    most = max(each.maximum for each in (*cells, heading))
    if column.justify == "right":
        return Fit(column, max([min(heading.minimum, LONG), *(each.maximum for each in cells)]), most)
    return Fit(column, min(max(each.minimum for each in (*cells, heading)), console.width // 2), most)


def _measured(cell: RenderableType, console: Console) -> Measurement:
    """The longest word and the longest line, whatever the terminal."""
    return Measurement.get(console, console.options.update(max_width=10_000), cell)


def _blocks(table: Table, fits: Sequence[Fit], console: Console) -> Iterator[list[Fit]]:
    """All columns if they fit; else the columns before the first number, each time with as many others as fit."""
    first = next((place for place, fit in enumerate(fits) if fit.numeric), len(fits))
    names, others = list(fits[:first]), fits[first:]
    block = list(names)
    for fit in others:
        least = [each.least for each in (*block, fit)]
        if len(block) > len(names) and _width(_made(table, [*block, fit], least), console) > console.width:
            yield block
            block = list(names)
        block.append(fit)
    yield block


def _widths(table: Table, block: Sequence[Fit], console: Console) -> list[int]:
    """The least widths, and what is left for the columns that can use it."""
    widths = [fit.least for fit in block]
    left = console.width - _width(_made(table, block, widths), console)
    for place, fit in enumerate(block):
        more = max(min(fit.most - fit.least, left), 0)
        widths[place] += more
        left -= more
    return widths


def _made(table: Table, block: Sequence[Fit], widths: Sequence[int]) -> Table:
    made = Table(
        box=table.box, pad_edge=table.pad_edge, title_justify=table.title_justify, caption_justify=table.caption_justify
    )
    for fit, width in zip(block, widths, strict=True):
        header = Text(fit.column.header) if isinstance(fit.column.header, str) else fit.column.header
        made.add_column(header, justify=fit.column.justify, width=width, overflow="fold")
    for cells in zip(*(fit.column.cells for fit in block), strict=True):
        made.add_row(*cells)
    return made


def _width(table: Table, console: Console) -> int:
    return _measured(table, console).maximum
