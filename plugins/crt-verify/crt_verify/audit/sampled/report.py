"""What an audit by samples reports: a difference, or that none was seen. It never says that a box is exact."""

from __future__ import annotations

from typing import Any

import attrs

from crt_verify.audit.sampled.cells import Ids
from crt_verify.audit.sampled.power import GOAL

SHOWN = 12
"""Cells that are shown, those that differ most."""


@attrs.frozen
class Cell:
    """A row of ids, or all rows that begin so and have no cell of their own."""

    ids: Ids
    rest: bool
    """Whether it stands for rows that begin so."""
    count: int
    share: float
    """The part of the samples that is in it."""
    target: float
    """Its probability; of two samples, the other's share."""

    def __str__(self) -> str:
        return f"{list(self.ids)}{' and others' if self.rest and self.ids else ''}" if self.ids else "all others"


@attrs.frozen(eq=False, kw_only=True)
class SampleReport:
    """Whether samples differ from a law, or from other samples."""

    samples: int
    """Samples of the box; of two boxes, of each."""
    level: float
    """The chance that an exact box is reported as not exact."""
    bias: float
    """The total variation between cells that `power` and `needed` are about."""
    p: float
    """How likely an exact box is to be at least as far off; 0 if something impossible came."""
    statistic: float
    """G, as a chi-square of as many degrees of freedom as there are cells, less one."""
    cells: tuple[Cell, ...]
    distance: float
    """The total variation between the cells' shares and the target; above 0 by chance alone."""
    usual: float
    """The mean of this distance for an exact box."""
    power: float
    """The least chance that a box with a bias of this size is reported."""
    needed: int
    """The samples, of each box, with which it is reported with probability 0.9."""
    pooled: float
    """The share of rows of ids without a cell of their own, between which nothing is compared."""
    impossible: int = 0
    """Samples that the target never emits."""
    against: bool = False
    """Whether the target is another box."""

    @property
    def exact(self) -> bool | None:
        """False: it is not. None: no difference was seen, which proves nothing."""
        return False if self.p <= self.level else None

    def rows(self) -> list[tuple[str, float, float]]:
        """Each cell with its share and the target."""
        return [(str(cell), cell.share, cell.target) for cell in self.cells]

    def __str__(self) -> str:
        each = " of each" if self.against else ""
        verdict = "no difference seen" if self.exact is None else "not exact"
        lines = [f"{verdict}: {self.samples:,} samples{each} in {len(self.cells)} cells, p {self.p:.2g}"]
        if self.impossible:
            lines.append(f"{self.impossible:,} of them are impossible under the target")
        lines += [
            f"an exact one would be reported as not exact in at most {self.level:g} of audits",
            f"total variation between cells {self.distance:.3g}; {self.usual:.3g} is usual without a difference",
            f"a bias of {self.bias:g} in total variation is reported with probability {self.power:.3g} or more; "
            f"{self.needed:,} samples{each} make it {GOAL}",
            f"inside cells of several rows of ids nothing is compared: {self.pooled:.3g} of the probability",
        ]
        if self.exact is False:
            lines.append(f"  ids: share of the samples, {'share of the other' if self.against else 'target'}")
            worst = sorted(self.cells, key=lambda cell: -abs(cell.share - cell.target))
            lines += [f"  {cell}: {cell.share:.6g}, {cell.target:.6g}" for cell in worst[:SHOWN]]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """The report as plain values."""
        plain = ("samples", "level", "bias", "p", "statistic", "distance", "usual", "power", "needed", "pooled")
        return {
            "depth": "sampled",
            "exact": self.exact,
            **{name: getattr(self, name) for name in (*plain, "impossible", "against")},
            "cells": [[list(c.ids), c.rest, c.count, c.share, c.target] for c in self.cells],
        }
