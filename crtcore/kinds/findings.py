"""What an experiment leaves, and how a report draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from crtcore.kinds.metric import Measurement


class Row(NamedTuple):
    """One point of an experiment's table."""

    labels: Mapping[str, str | int | float]
    """What tells it from the others; every row has the same names."""
    numbers: Mapping[str, Measurement]
    """What was measured there."""


class Findings(NamedTuple):
    """What an experiment leaves."""

    numbers: Mapping[str, Measurement]
    """What it comes to as a whole."""
    points: Sequence[Row] = ()
    """Its table, where one number does not say it."""
    notes: Sequence[str] = ()
    """What a reader has to be told beside, a sentence each."""
    outcomes: Mapping[str, Sequence[float]] = MappingProxyType({})
    """What some of the numbers are the mean of: a value for each held-out sample, the same samples in every arm."""


class Figure(NamedTuple):
    """How a table of points is drawn: panels in a grid."""

    across: str
    """On the horizontal axis: a label that is a number, or with `along` a number that is measured."""
    lines: str
    """The label that tells lines apart; `arm` tells those of a sweep, and a run has one."""
    numbers: tuple[str, ...]
    """What is measured; a row of panels each."""
    columns: tuple[str, ...] = ()
    """The labels that tell columns of panels apart."""
    log: bool = False
    """True: the horizontal axis is logarithmic, for labels above 0."""
    along: str | None = None
    """The label whose values a line runs through, if `across` is measured; a sweep then tells gaps between arms."""
    references: tuple[str, ...] = ()
    """Numbers of all points that are drawn as one black line each, such as a bound where its measured number is."""


class TradeOff(NamedTuple):
    """Two numbers that the report of a sweep draws against each other."""

    across: str
    up: str
    joined: str
    """The setting, by dotted path, that the arms on one line have in common."""
