"""Audits of what only draws: an engine, or any function that returns ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from crt_verify.audit.sampled.cells import Cells, Ids, Row, Target, cells, pooled_cells
from crt_verify.audit.sampled.gtest import one_sample_p, statistic, two_sample, two_sample_p
from crt_verify.audit.sampled.power import needed, power
from crt_verify.audit.sampled.report import Cell, SampleReport

SAMPLES = 20_000
LEVEL = 1e-3
BIAS = 0.01

Draw: TypeAlias = Callable[[int], Iterable[Any]]
"""Takes a number, and returns as many independent rows of ids."""


def audit_samples(
    draw: Draw,
    target: Target | Mapping[Ids, Row],
    *,
    length: int,
    samples: int = SAMPLES,
    level: float = LEVEL,
    bias: float = BIAS,
    seed: int = 0,
) -> SampleReport:
    """Tests rows of `length` ids that a box draws against the known law of these.

    `target` maps each prefix, a tuple of ids, to the distribution of the next id: a function or a dictionary. A row
    that is itself a dictionary names some ids; others are counted together. None: it is unknown, and what follows is
    not looked at. A box that ends early has to fill its rows with an id that the target has there.
    Samples are drawn once, then compared by a G-test of whole rows of ids. `level` is the rate of false alarms, to be
    chosen before; `seed` is that of the test's own null samples.
    Raises: ValueError if a number is out of range, a row of ids has another length, or a row of the target is no
    distribution.
    """
    _checked(samples, level, bias)
    if length < 1:
        raise ValueError(f"expected rows of one id or more, got {length}")
    rows = _drawn(draw, samples)
    if wrong := next((ids for ids in rows if len(ids) != length), None):
        raise ValueError(f"expected {length} ids, got {list(wrong)}")
    parts = cells(target.__getitem__ if isinstance(target, Mapping) else target, length, samples)
    counted, impossible = parts.counts(rows)
    counts, probabilities = np.array([*counted.values()]), np.array([*parts.probabilities.values()])
    p, usual = one_sample_p(counts, probabilities, level, np.random.default_rng(seed))
    likely, shares = float(probabilities.max()), counts / samples
    return SampleReport(
        samples=samples,
        level=level,
        bias=bias,
        p=0.0 if impossible else p,
        statistic=float(statistic(counts, counts.sum() * probabilities)),
        cells=_as_cells(parts, counted, samples, length),
        distance=float(np.abs(shares - probabilities).sum() / 2 + impossible / samples / 2),
        usual=usual,
        power=power(bias, samples, cells=len(counts), largest=likely, level=level),
        needed=needed(bias, cells=len(counts), largest=likely, level=level),
        pooled=parts.pooled,
        impossible=impossible,
    )


def compare_samples(
    draw: Draw, other: Draw, *, samples: int = SAMPLES, level: float = LEVEL, bias: float = BIAS, seed: int = 0
) -> SampleReport:
    """Tests two boxes against each other, such as an engine with speculation and one without.

    Rows may have any length. Those that both together have fewer than ten times are counted in one cell.
    Raises: ValueError if a number is out of range, or all rows of ids fall in one cell.
    """
    _checked(samples, level, bias)
    first, second = Counter(_drawn(draw, samples)), Counter(_drawn(other, samples))
    named = pooled_cells(first, second)
    own, others = ([rows[ids] for ids in named] for rows in (first, second))
    if left := 2 * samples - sum(own) - sum(others):
        own, others, named = [*own, samples - sum(own)], [*others, samples - sum(others)], [*named, ()]
    if len(named) < 2:
        raise ValueError(f"expected rows of ids of two kinds or more, got {len(named)}: there is nothing to compare")
    counts, against = np.array(own), np.array(others)
    p, usual = two_sample_p(counts, against, level, np.random.default_rng(seed))
    likely = float((counts + against).max() / (2 * samples))
    return SampleReport(
        samples=samples,
        level=level,
        bias=bias,
        p=p,
        statistic=float(two_sample(counts, counts + against)),
        cells=tuple(
            Cell(ids, ids == (), count, count / samples, theirs / samples)
            for ids, count, theirs in zip(named, own, others, strict=True)
        ),
        distance=float(np.abs(counts - against).sum() / samples / 2),
        usual=usual,
        power=power(bias, samples, cells=len(counts), largest=likely, level=level, boxes=2),
        needed=needed(bias, cells=len(counts), largest=likely, level=level, boxes=2),
        pooled=left / (2 * samples),
        against=True,
    )


def _checked(samples: int, level: float, bias: float) -> None:
    if samples < 100 or not 1e-6 <= level <= 0.1 or not 0 < bias < 0.5:
        raise ValueError(
            "expected 100 samples or more, a level from 1e-6 to 0.1, and a bias between 0 and 0.5, "
            f"got {samples}, {level} and {bias}"
        )


def _drawn(draw: Draw, samples: int) -> list[Ids]:
    rows = [tuple(ids.tolist() if isinstance(ids, np.ndarray) else ids) for ids in draw(samples)]
    if len(rows) != samples:
        raise ValueError(f"expected {samples} rows of ids, got {len(rows)}")
    return rows


def _as_cells(parts: Cells, counted: Mapping[Ids, int], samples: int, length: int) -> tuple[Cell, ...]:
    return tuple(
        Cell(ids, len(ids) < length, counted[ids], counted[ids] / samples, chance)
        for ids, chance in parts.probabilities.items()
    )
