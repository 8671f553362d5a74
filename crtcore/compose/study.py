"""A study: the points of a spec file, and what it claims of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import attrs

from crtcore.kinds import ExecutorSpec, Plan, digest

BASELINE = "baseline"
"""The arm that pairs are taken against."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a spec file, and an arm, may be called."""
RESERVED = "stages"
"""A name that would be taken for the folder of shared stages."""
WHOLE = ("name", "executor", "sweep", "extends")
"""Top-level keys that no point of a study has of its own."""


@attrs.frozen(kw_only=True)
class Claim:
    """Something the study says beforehand: `arm` has a lower (or higher) `number` than `against`, paired by seed."""

    number: str
    arm: str
    against: str = BASELINE
    expect: Literal["lower", "higher"] = "lower"


class Point(NamedTuple):
    """One run of a study."""

    arm: str
    grid: tuple[str, ...]
    """The grid's values other than the seed, as `path=value`."""
    plan: Plan

    @property
    def group(self) -> str:
        """What intervals are taken within: arm and grid values, over seeds."""
        return ", ".join((self.arm, *self.grid))

    @property
    def label(self) -> str:
        """Which point it is, for a person."""
        return f"{self.group}, seed {self.plan.seed}"


@attrs.frozen(kw_only=True)
class Study:
    """Everything one spec file asks for."""

    name: str
    points: tuple[Point, ...]
    claims: tuple[Claim, ...]
    executor: ExecutorSpec | None
    """Where its points run; None: on this machine."""
    swept: bool
    """True: the file has a `[sweep]`."""
    document: Mapping[str, Any]
    """The file as merged and overridden, before defaults."""

    @property
    def hash(self) -> str:
        """The address of the sweep's folder."""
        points = [[point.group, point.plan.hash] for point in self.points]
        return digest({"points": points, "claims": [attrs.asdict(claim) for claim in self.claims]})
