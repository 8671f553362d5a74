"""The code that makes a result: the distribution of every component used, with its version.

An editable installation counts by the hash of its source, as its version stays while its code changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import Any

import attrs

from crtcore.kinds import Plan
from crtcore.registry import installed_entries
from crtcore.spec import Spec

ALWAYS = ("crtcore", "crt_run")
"""Packages that take part in every result."""


def components(plan: Plan) -> dict[str, str]:
    """Role, or role and field, to the distribution and version of the component there."""
    return {where: _written(_package(spec)) for where, spec in _specs(plan)}


def code_of(plan: Plan, reads: Iterable[str] | None = None) -> dict[str, str]:
    """Distribution to version of what makes a result of the parts at the paths `reads`; None: of all parts."""
    first = None if reads is None else {path.split(".")[0] for path in reads}
    packages = {_package(spec) for where, spec in _specs(plan) if first is None or where.split(".")[0] in first}
    return dict(sorted(filter(None, (_entry(package) for package in (*ALWAYS, *packages)))))


def difference(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What differs between two answers of `code_of`, in words; empty if nothing does."""
    names = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    return ", ".join(f"{name} {then.get(name, 'absent')}, now {now.get(name, 'absent')}" for name in names)


def _specs(plan: Plan) -> list[tuple[str, Spec]]:
    specs: list[tuple[str, Spec]] = []

    def visit(where: str, value: Any) -> None:
        if isinstance(value, tuple):
            for index, each in enumerate(value):
                visit(f"{where}.{index}", each)
        elif isinstance(value, Spec):
            specs.append((where, value))
            for field in attrs.fields(type(value)):
                visit(f"{where}.{field.name}", getattr(value, field.name))

    for role, part in {"experiment": plan.experiment, **plan.parts}.items():
        visit(role, part)
    return specs


def _package(spec: Spec) -> str:
    return type(spec).__module__.partition(".")[0]


def _written(package: str) -> str:
    entry = _entry(package)
    return package if entry is None else " ".join(entry)


@cache
def _entry(package: str) -> tuple[str, str] | None:
    """Name and version of the distribution of a package; None if no distribution brings it."""
    dist = _distribution(package)
    if dist is None:
        return None
    return dist.name, f"{dist.version} (source {_source(package)})" if _editable(dist) else dist.version


def _distribution(package: str) -> Distribution | None:
    """The distribution of a package: by a plugin's entry point, as an editable installation lists no packages."""
    for entry in installed_entries()[0]:
        if entry.module.partition(".")[0] == package and entry.dist is not None:
            return entry.dist
    try:
        listed = packages_distributions()
    except Exception:  # of any distribution that is damaged; the command has named it
        listed = {}
    try:
        return distribution(listed.get(package, [package.replace("_", "-")])[0])
    except PackageNotFoundError:
        return None


def _editable(dist: Distribution) -> bool:
    about = json.loads(dist.read_text("direct_url.json") or "{}")
    return bool(about.get("dir_info", {}).get("editable"))


def _source(package: str) -> str:
    """Eight digits of the SHA-256 of all files of a package but caches."""
    import importlib.util

    spec = importlib.util.find_spec(package)
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    whole = hashlib.sha256()
    for top in map(Path, places):
        for path in sorted(path for path in top.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
            whole.update(f"{path.relative_to(top).as_posix()}\0".encode() + path.read_bytes())
    return whole.hexdigest()[:8]
