"""Verifiers that draw by torch or NumPy, unchanged: exact ones are exact, and planted faults are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from crt_verify.audit import NotFollowed, audit, replayed
from crt_verify.drafters import Chain, Drafter, Paths


def rows(tree: Any, p: Any, q: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The drafted ids, and the rows of both."""
    return torch.tensor(tree.tokens[1:]), torch.from_numpy(np.asarray(p)), torch.from_numpy(np.asarray(q))


def rest_of(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    return (p - q).clamp_min(0)


def by_multinomial(
    tree: Any, p: Any, q: Any, rest: Callable[..., torch.Tensor] = rest_of, factor: float = 1.0
) -> torch.Tensor:
    """All ids at once, as engines do: uniforms of a chain, and the first rejection."""
    ids, p, q = rows(tree, p, q)
    places = torch.arange(len(ids))
    accepted = torch.rand(len(ids), dtype=torch.float64) <= factor * p[places, ids] / q[places, ids]
    count = int((accepted.long().cumprod(0)).sum())
    row = rest(p[count], q[count]) if count < len(ids) else p[-1]
    return torch.cat([ids[:count], torch.multinomial(row, 1)])


def by_race(tree: Any, p: Any, q: Any) -> torch.Tensor:
    """The last id of every place by an exponential race, of which one is taken."""
    ids, p, q = rows(tree, p, q)
    ratio = p[torch.arange(len(ids)), ids] / q[torch.arange(len(ids)), ids]
    accepted = torch.empty(len(ids), dtype=torch.float64).uniform_() < ratio.clamp(max=1.0)
    rest = torch.cat([(p - q)[:-1].clamp_min(torch.finfo(torch.float64).tiny), p[-1:]])
    last = rest.div_(torch.empty_like(rest).exponential_(1.0)).argmax(dim=1)
    count = int(accepted.long().cumprod(0).sum())
    return torch.cat([ids[:count], last[count : count + 1]])


def by_numpy(tree: Any, p: Any, q: Any) -> list[int]:
    """Id by id, with NumPy."""
    rng = np.random.default_rng()
    ids: list[int] = []
    for node, x in enumerate(tree.tokens[1:]):
        if rng.random() * q[node][x] > p[node][x]:
            rest = np.maximum(p[node] - q[node], 0)
            return [*ids, rng.choice(len(rest), p=rest / rest.sum())]
        ids.append(x)
    return [*ids, int(np.searchsorted(np.cumsum(p[len(ids)]), rng.random()).clip(max=len(p[0]) - 1))]


@pytest.mark.parametrize(("verify", "levels"), [(by_multinomial, 2), (by_race, 1), (by_numpy, 2)])
def test_an_exact_verifier_is_exact_as_it_stands(verify: Any, levels: int) -> None:
    report = audit(replayed(verify), drafter=Chain(length=levels), trials=10)

    assert report.exact
    assert report.cases == 10


def block(tree: Any, p: Any, q: Any, *, capped: bool = True) -> list[int]:
    """Block verification (Sun et al. 2025, algorithm 2) by one vector of uniforms."""
    ids, p, q = rows(tree, p, q)
    uniforms = torch.rand(len(ids), dtype=torch.float64)
    share, count, scale = 1.0, 0, torch.tensor(1.0)
    for place, x in enumerate(ids.tolist(), start=1):
        share = share * p[place - 1, x] / q[place - 1, x]
        share = min(share, torch.tensor(1.0)) if capped else share
        chance = share
        if place < len(ids):
            mass = rest_of(min(share, torch.tensor(1.0)) * p[place], q[place]).sum()
            chance = mass / (mass + 1 - min(share, torch.tensor(1.0))) if mass > 0 else torch.tensor(0.0)
        if uniforms[place - 1] < chance:
            count, scale = place, min(share, torch.tensor(1.0))
    row = p[-1] if count == len(ids) else rest_of(scale * p[count], q[count])
    row = row if row.sum() > 0 else p[count]
    return [*ids[:count].tolist(), int(torch.multinomial(row, 1))]


def own_draft(tree: Any, p: Any, q: Any, *, shared: bool) -> list[int]:
    """Drafts a chain by races of clocks of its own; `shared` draws the last id with the clocks of the draft."""
    ids: list[int] = []
    for _ in range(tree.levels):
        row_p, row_q = torch.from_numpy(p.after(ids)), torch.from_numpy(q.after(ids))
        clocks = torch.empty_like(row_q).exponential_()
        x = int((row_q / clocks).argmax())
        if torch.rand((), dtype=torch.float64) > row_p[x] / row_q[x]:
            fresh = clocks if shared else torch.empty_like(clocks).exponential_()
            return [*ids, int((rest_of(row_p, row_q) / fresh).argmax())]
        ids.append(x)
    return [*ids, int(torch.multinomial(torch.from_numpy(p.after(ids)), 1))]


def siblings(tree: Any, p: Any, q: Any, *, shared: bool) -> list[int]:
    """Independent siblings, tested against what is left of p; `shared` tests all by one uniform."""
    node, ids = 0, list[int]()
    while below := tree.children(node):
        rest, row_q = torch.from_numpy(p[node]), torch.from_numpy(q[node])
        uniform, taken = torch.rand((), dtype=torch.float64), None
        for child in below:
            x = tree.token(child)
            if uniform < rest[x] / row_q[x]:
                taken = child
                break
            rest = rest_of(rest, row_q)
            rest = rest / rest.sum() if rest.sum() > 0 else torch.from_numpy(p[node])
            uniform = uniform if shared else torch.rand((), dtype=torch.float64)
        if taken is None:
            return [*ids, int(torch.multinomial(rest, 1))]
        ids.append(tree.token(taken))
        node = taken
    return [*ids, int(torch.multinomial(torch.from_numpy(p[node]), 1))]


def once_certain(tree: Any, p: Any, q: Any, *, shared: bool) -> list[int]:
    """A chain. `shared` draws the last id along its sums by the accept test's uniform where q has one possible id."""
    ids: list[int] = []
    for node, x in enumerate(tree.tokens[1:]):
        uniform = np.random.random()
        if uniform >= p[node][x] / q[node][x]:
            rest = np.maximum(p[node] - q[node], 0)
            again = uniform if shared and q[node].max() == 1 else np.random.random()
            return [*ids, int(np.searchsorted(np.cumsum(rest / rest.sum()), again).clip(max=len(rest) - 1))]
        ids.append(x)
    return [*ids, int(np.searchsorted(np.cumsum(p[len(ids)]), np.random.random()).clip(max=len(p[0]) - 1))]


PAIRS: list[tuple[Any, Any, Drafter, str]] = [
    (
        by_multinomial,
        lambda tree, p, q: by_multinomial(tree, p, q, rest=lambda p, q: p),
        Chain(length=2),
        "after a rejection the last id is drawn from p instead of the residual",
    ),
    (
        by_multinomial,
        lambda tree, p, q: by_multinomial(tree, p, q, rest=lambda p, q: (p - q).abs()),
        Chain(length=2),
        "the residual is |p - q| instead of the positive part of p - q",
    ),
    (
        by_multinomial,
        lambda tree, p, q: by_multinomial(tree, p, q, factor=1.25),
        Chain(length=2),
        "the ratio is multiplied by a number above 1 (relaxed acceptance)",
    ),
    (
        block,
        lambda tree, p, q: block(tree, p, q, capped=False),
        Chain(length=2),
        "block verification does not cap its ratio at 1 after each id",
    ),
    (
        lambda tree, p, q: own_draft(tree, p, q, shared=False),
        lambda tree, p, q: own_draft(tree, p, q, shared=True),
        Chain(length=2),
        "the last id is drawn with the same random numbers as the draft",
    ),
    (
        lambda tree, p, q: siblings(tree, p, q, shared=False),
        lambda tree, p, q: siblings(tree, p, q, shared=True),
        Paths(paths=3, length=1),
        "all siblings are tested with the same random number",
    ),
    (
        lambda tree, p, q: once_certain(tree, p, q, shared=False),
        lambda tree, p, q: once_certain(tree, p, q, shared=True),
        Chain(length=2),
        "where the draft has one possible id, the last id is drawn with the random number of the accept test",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("right", "wrong", "drafter", "name"), PAIRS, ids=[each[-1][:40] for each in PAIRS])
def test_a_planted_fault_is_named_and_its_repair_is_exact(right: Any, wrong: Any, drafter: Drafter, name: str) -> None:
    trials = 24 if "one possible id" in name else 6  # one case in twelve has such a draft

    exact = audit(replayed(right), drafter=drafter, trials=trials)
    report = audit(replayed(wrong), drafter=drafter, trials=trials)

    assert exact.exact
    assert not report.exact
    assert report.diagnosis == name


def test_what_cannot_be_followed_has_no_verdict() -> None:
    with pytest.raises(NotFollowed, match=r"aten\.randn "):
        audit(replayed(lambda tree, p, q: [int(torch.randn(3).argmax())]), trials=2)
