"""What the numbers of a run mean, by its experiment and its metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

import tomli

from crtcore.kinds import ExperimentSpec, Meaning, MetricSpec
from crtcore.registry import NotInstalled, Registry

ARROWS = {"lower": "↓", "higher": "↑"}
KEY = "↓ lower is better, ↑ higher is better"


def explained(names: Iterable[str], spec: str, registry: Registry) -> dict[str, Meaning]:
    """The meaning of each of these numbers of a run, where its components give one.

    `spec` is the text of its resolved spec file, of which a component that is not installed explains nothing.
    """
    table = tomli.loads(spec)
    parts = [("experiment", table.get("experiment")), *(("metric", each) for each in table.get("metric", ()))]
    known: dict[str, Meaning] = {}
    for kind, part in parts:
        try:
            component = registry.find(kind, part["use"]).spec
        except (NotInstalled, TypeError, LookupError):
            continue
        if issubclass(component, ExperimentSpec | MetricSpec):
            known |= component.meanings
    return {name: meaning for name in names if (meaning := _meaning(name, known))}


def _meaning(name: str, known: Mapping[str, Meaning]) -> Meaning | None:
    patterns = (pattern for pattern in known if "*" in pattern and fnmatchcase(name, pattern))
    return known.get(name) or known.get(next(patterns, ""))


def directed(text: str, meaning: Meaning | None) -> str:
    """A text with an arrow in the direction in which the number is better, if there is one."""
    return f"{text} {ARROWS[meaning.better]}" if meaning and meaning.better else text
