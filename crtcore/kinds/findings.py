"""What an experiment leaves, and how a report draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from crtcore.kinds.metric import Measurement


class Row(NamedTuple):
    """One point of an experiment's table."""

    labels: Mapping[str, str | int | float]
    """Identifies the point; every row has the same names."""
    numbers: Mapping[str, Measurement]
    """What was measured there."""


class Findings(NamedTuple):
    """What an experiment leaves."""

    numbers: Mapping[str, Measurement]
    """Numbers of the whole run."""
    points: Sequence[Row] = ()
    """A table, where one number is not enough."""
    notes: Sequence[str] = ()
    """Further sentences for the reader."""
    outcomes: Mapping[str, Sequence[float]] = MappingProxyType({})
    """Number to its value for each held-out sample; the samples are the same in every arm."""


class Figure(NamedTuple):
    """How a table of points is drawn: panels in a grid."""

    across: str
    """The horizontal axis: a label that is a number, or with `along` a measured number."""
    lines: str
    """The label with one line for each value; `arm` is that of a sweep."""
    numbers: tuple[str, ...]
    """Measured numbers, one row of panels each."""
    columns: tuple[str, ...] = ()
    """The labels with one column of panels for each combination of values."""
    log: bool = False
    """True: the horizontal axis is logarithmic, for labels above 0."""
    along: str | None = None
    """The label whose values a line runs through, if `across` is measured; a sweep then reports gaps between arms."""
    references: tuple[str, ...] = ()
    """Numbers of all points that are drawn as one black line each, such as a bound where its measured number is."""


class TradeOff(NamedTuple):
    """Two numbers that the report of a sweep draws against each other."""

    across: str
    up: str
    joined: str | None = None
    """The setting, by dotted path, that the arms on one line have in common; None: arms are not joined."""
    summed: bool = False
    """True: both are parts of one total, and lines of equal total are drawn."""
    floor: str | None = None
    """A number that is drawn as a level: what `up` is at best."""
