"""A study: the points of a spec file, and what it claims of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import attrs

from crtcore.kinds import ExecutorSpec, Plan, digest

BASELINE = "baseline"
"""The arm of a study without arms, and the one that pairs are taken against; the first if none has this name."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""What a spec file, and an arm, may be called."""
RESERVED = "stages"
"""A name that would be taken for the folder of shared stages."""
_PLAIN = re.compile(r"(?!(?:true|false|NaN|Infinity)$)[A-Za-z][A-Za-z0-9._/-]*")
"""Texts that cannot be mistaken for another value without quotes."""
WHOLE = ("name", "executor", "sweep", "extends")
"""Top-level keys that no point of a study has of its own."""


@attrs.frozen(kw_only=True)
class Claim:
    """What the study expects of two arms: `arm` has a lower (or higher) `number` than `against`, paired by seed."""

    number: str
    """A number of the results, such as `id_code_length_bits`."""
    arm: str
    """The arm that the claim is about."""
    against: str = ""
    """The arm that it is compared with; the baseline if it is left out."""
    expect: Literal["lower", "higher"] = "lower"
    """Which way the number goes."""


def labels(settings: Mapping[str, Any]) -> list[str]:
    """Settings for a person, each as `path=value`."""
    return [f"{path}={label(value)}" for path, value in settings.items()]


def label(value: Any) -> str:
    """A value for a person, not the same for two that one path can have: `8`, `"8"`, `vq`, `vq(codes=8)`, `[4, 4]`."""
    if isinstance(value, Mapping):
        name = label(value["use"]) if "use" in value else ""
        inside = ", ".join(labels({key: each for key, each in value.items() if key != "use"}))
        return f"{name}({inside})" if inside or not name else name
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(label, value))}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


class Point(NamedTuple):
    """One run of a study."""

    arm: str
    settings: Mapping[str, Any]
    """The grid's values other than the seed, by dotted path, as the file has them."""
    plan: Plan

    @property
    def group(self) -> str:
        """What intervals are taken within: arm and settings, over seeds."""
        return ", ".join((self.arm, *labels(self.settings)))

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
    baseline: str
    """The arm that pairs are taken against."""

    @property
    def hash(self) -> str:
        """The address of the sweep's folder."""
        points = [[point.group, point.plan.hash] for point in self.points]
        return digest({"points": points, "claims": [attrs.asdict(claim) for claim in self.claims]})
