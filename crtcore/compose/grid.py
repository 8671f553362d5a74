"""A sweep to the changes of each of its points: arms times grid, and claims."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from crtcore.compose.document import DEEPEST, Document, laid, undotted
from crtcore.compose.structure import StructureError, Structurer, shown
from crtcore.compose.study import BASELINE, NAME, WHOLE, Claim
from crtcore.errors import Key, dotted, nearest


def leaves(table: Mapping[str, Any], path: Key = ()) -> Iterator[tuple[Key, Any]]:
    """The values of nested tables, each with its path; `"a.b" = 1` and `a.b = 1` are one."""
    for name, value in table.items():
        here = (*path, name)
        if isinstance(value, dict) and value:
            yield from leaves(value, here)
        else:
            yield here, value


def spread(sweep: Any, size: int, note: Any) -> Iterator[tuple[str, dict[str, Any], list[Change]]]:
    """Arms times grid: the arm, the grid's values other than the seed, and all changes; a point has `size` values."""
    if sweep is None:
        yield BASELINE, {}, []
        return
    if not isinstance(sweep, dict):
        note(("sweep",), f"expected a table, got {shown(sweep)}")
        return
    arms = sweep.get("arms", {BASELINE: {}})
    if not isinstance(arms, dict) or not arms or not all(isinstance(arm, dict) for arm in arms.values()):
        note(("sweep", "arms"), f"expected a table for each arm, got {shown(arms)}")
        return
    axes: list[list[Change]] = []
    for path, values in leaves({name: value for name, value in sweep.items() if name not in ("arms", "claim")}):
        if not isinstance(values, list) or not values:
            note(("sweep", *path), f"expected an array of values to try, got {shown(values)}")
        else:
            key = undotted(dotted(path))
            axes.append([Change(key, value, ("sweep", *path)) for value in values])
    points = len(arms)
    for axis in axes:
        points = min(points * len(axis), POINTS + 1)
    if points > POINTS or points * size > VALUES:
        note(("sweep",), f"expected at most {POINTS:,} points, with {VALUES:,} values in all of them, got more")
        return
    grid = [axis[0] for axis in axes]
    for arm, table in arms.items():
        if not NAME.fullmatch(arm):
            note(("sweep", "arms", arm), f"expected a name of letters, digits, '.', '_' and '-', got {arm!r}")
        own = [Change(undotted(dotted(path)), value, ("sweep", "arms", arm, *path)) for path, value in leaves(table)]
        _unclear([*grid, *own], note)
        for chosen in itertools.product(*axes):
            settings = {dotted(change.path): change.value for change in chosen if change.path != ("seed",)}
            yield arm, settings, sorted([*own, *chosen], key=lambda change: laid(change.path))


POINTS = 2_000
"""Points of the largest study."""
VALUES = 500_000
"""Values, tables and arrays of all its points, before defaults."""


class Change(NamedTuple):
    """A value that a point has of its own."""

    path: Key
    value: Any
    written: Key
    """Where it stands in the file."""


def _unclear(changes: Sequence[Change], note: Any) -> None:
    """Notes changes that no point can have, or that overwrite one another."""
    set_by: dict[Key, Key] = {}  # path of a change to where it stands
    below: dict[Key, Key] = {}  # path around a change to where that stands
    for path, _, written in changes:
        if path[0] in WHOLE:
            note(written, f"{path[0]} is one for all points, so a sweep cannot change it")
        around = [path[:end] for end in range(1, min(len(path), DEEPEST) + 1)]
        other = next((set_by[each] for each in around if each in set_by), below.get(path))
        if other is not None:
            note(written, f"expected one value at a point, but {dotted(other)} sets it too")
        set_by[path] = written
        below |= dict.fromkeys(around[:-1], written)


def claims_in(sweep: Any, structure: Structurer, note: Any, arms: list[str], baseline: str) -> tuple[Claim, ...]:
    """The claims of a sweep; notes those that do not fit."""
    written = sweep.get("claim", []) if isinstance(sweep, dict) else []
    if isinstance(written, list):
        written = [{"against": baseline, **each} if isinstance(each, dict) else each for each in written]
    try:
        claims: tuple[Claim, ...] = structure(written, tuple[Claim, ...])
    except StructureError as error:
        for path, message in error.problems:
            note(("sweep", "claim", *path), message)
        return ()
    for index, claim in enumerate(claims):
        for field in ("arm", "against"):
            if arms and (name := getattr(claim, field)) not in arms:
                note(("sweep", "claim", index, field), f"no arm is called {name!r}{nearest(name, arms)}")
        if claim.arm == claim.against:
            note(("sweep", "claim", index, "against"), f"expected another arm than {claim.arm!r}, got the same")
        if claim in claims[:index]:
            note(("sweep", "claim", index), "expected each claim once, got it twice")
    return claims


def _table(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The table of that name; an empty one if it is no table."""
    return value if isinstance(value := values.get(name), dict) else {}


def structured(document: Document, path: Key, into: Any, structure: Structurer, note: Any) -> Any:
    """The value at `path` as `into`; None, and notes, if it does not fit."""
    value: Any = document.values
    for step in path:
        value = value[step]
    try:
        return structure(value, into)
    except StructureError as error:
        for inside, message in error.problems:
            note((*path, *inside), message)
        return None
