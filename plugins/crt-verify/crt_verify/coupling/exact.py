"""The exact distribution of the rows that these decoders emit, by every branch; tiny vocabularies only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import TypeAlias

from crt_verify.coupling.redrawing import keep_chance, residual
from crt_verify.enumeration import ROWS, Ids, Rows
from crtcore import Limits

Window: TypeAlias = tuple[Ids, tuple[Ids, ...]]
"""Drafted ids, and for each the emitted and drafted ids after which the row that it was drawn from stands."""


def check_rows(vocabulary: int, limits: Limits) -> None:
    """Nothing, if the rows can be enumerated.

    Raises: ValueError if there are too many.
    """
    if vocabulary**limits.length > ROWS:
        raise ValueError(f"expected at most {ROWS} rows, got {vocabulary}**{limits.length}")


def drawn_distribution(p: Rows, limits: Limits) -> dict[Ids, float]:
    """The distribution of rows whose every id is drawn from p after those before it.

    Raises: ValueError if there are too many rows to enumerate.
    """
    check_rows(len(p(())), limits)
    ended: defaultdict[Ids, float] = defaultdict(float)
    going: dict[Ids, float] = {(): 1.0}
    while going:
        grown: dict[Ids, float] = {}
        for row, chance in going.items():
            if ends(row, limits):
                ended[row] = chance
            else:
                grown |= {(*row, x): chance * weight for x, weight in enumerate(p(row).tolist()) if weight > 0}
        going = grown
    return dict(ended)


def ends(row: Ids, limits: Limits) -> bool:
    """Whether nothing follows a row."""
    return len(row) == limits.length or (row[-1:] != () and row[-1] in limits.stop)


def jacobi_distribution(p: Rows, limits: Limits, window: int, *, independent: bool) -> dict[Ids, float]:
    """The distribution of rows by Jacobi decoding: every draft, both outcomes of every test, every id after them.

    `independent`: drafts behind the first rejection are drawn without regard to those before.
    Raises: ValueError if there are too many rows to enumerate.
    """
    check_rows(len(p(())), limits)
    ended: defaultdict[Ids, float] = defaultdict(float)
    going: dict[tuple[Ids, Window], float] = {((), ((), ())): 1.0}
    while going:
        grown: defaultdict[tuple[Ids, Window], float] = defaultdict(float)
        for (row, drafts), chance in going.items():
            if ends(row, limits):
                ended[row] += chance
                continue
            for emitted, after, weight in _round(p, row, drafts, limits, window, independent=independent):
                grown[emitted, after] += chance * weight
        going = grown
    return dict(ended)


def _round(
    p: Rows, row: Ids, drafts: Window, limits: Limits, window: int, *, independent: bool
) -> Iterator[tuple[Ids, Window, float]]:
    """The rows and windows that a round can lead to, with their chances."""
    ids, contexts = drafts
    here = tuple((*row, *ids[:place]) for place in range(len(ids) + 1))
    for drawn, chance in _redrawn(p, ids, contexts, here, independent=independent):
        agreed = next(place for place, x in enumerate((*ids, None)) if x != drawn[place])
        block = drawn[: agreed + 1]
        stops = [place for place, x in enumerate(block, start=1) if x in limits.stop]
        emitted = (*row, *(block[: stops[0]] if stops else block))
        if ends(emitted, limits):
            yield emitted, ((), ()), chance
            continue
        room = min(window, limits.length - len(emitted) - 1)
        kept = drawn[agreed + 1 :][:room]
        fresh = room - len(kept)
        after = (*here[agreed + 1 :][:room], *[here[-1]] * fresh)
        for new, weight in _fresh(p, here[-1], fresh):
            yield emitted, ((*kept, *new), after), chance * weight


def _redrawn(
    p: Rows, ids: Ids, contexts: tuple[Ids, ...], here: tuple[Ids, ...], *, independent: bool
) -> Iterator[tuple[Ids, float]]:
    """Every list of ids that a round can draw at the positions of its drafts and the next."""
    partial: dict[Ids, float] = {(): 1.0}
    for place, context in enumerate(here):
        grown: dict[Ids, float] = {}
        for drawn, chance in partial.items():
            coupled = place < len(ids) and not (independent and drawn != ids[:place])
            weights = _coupled(p, context, contexts[place], ids[place]) if coupled else tuple(p(context).tolist())
            grown |= {(*drawn, x): chance * weight for x, weight in enumerate(weights) if weight > 0}
        partial = grown
    yield from partial.items()


def _coupled(p: Rows, context: Ids, before: Ids, x: int) -> tuple[float, ...]:
    """The distribution of what replaces a draft x, drawn from the row after `before`, under the row after `context`."""
    now, then = p(context), p(before)
    keep = float(keep_chance(now[x], then[x]))
    left = residual(now, then)
    weights = (left * (1 - keep)).tolist()
    weights[x] += keep
    return tuple(weights)


def _fresh(p: Rows, context: Ids, count: int) -> Iterator[tuple[Ids, float]]:
    """Every list of ids drawn independently from one row."""
    possible = [(x, weight) for x, weight in enumerate(p(context).tolist()) if weight > 0]
    for chosen in product(possible, repeat=count):
        chance = 1.0
        for _, weight in chosen:
            chance *= weight
        yield tuple(x for x, _ in chosen), chance
