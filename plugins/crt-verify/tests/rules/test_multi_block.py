"""Block verification of several paths: never worse than of one, and its own mistakes are caught."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from crt_verify import rule
from crt_verify.rules import Rule, multi_block
from crt_verify.rules.plan import Plan
from crt_verify.rules.tree_batch import TreeBatch

from ..strategies import Ids, Pair, pairs
from .test_exact import (
    CHILDREN,
    FEW,
    RULES,
    P,
    Q,
    acceptance,
    distance,
    emitted,
    everywhere,
    independent,
    mean,
    rows,
    trees,
)
from .test_exact import paths as unmerged

ROUNDED = 4 * 2.0**-30
"""Two paths: the scale is a step of 2^-30 too large at most, and each id's acceptance falls by that of two drafts."""
REUSED = multi_block._scale


@pytest.mark.parametrize(("k", "accepted"), [(1, 0.6), (2, 0.75), (3, 0.793950), (4, 0.831438)])
def test_one_id_of_each_path_is_accepted_as_by_k_sequential_selection(k: int, accepted: float) -> None:
    assert round(acceptance("multi-block", k, P, Q), 6) == accepted


@settings(FEW, max_examples=4)
@given(pair=pairs(3))
def test_two_paths_emit_no_less_than_a_block_of_one(pair: Pair) -> None:
    p, q = rows(pair)

    many = mean(emitted(RULES["multi-block"], unmerged(q, 3, 2, 2), p, q))
    one = mean(emitted(RULES["block"], trees(q, (1, 1), independent), p, q))

    assert many >= one - ROUNDED


def test_two_paths_of_two_ids_have_their_golden_value() -> None:
    """Worked by hand: the scale r is a root of r^2 - 5 r / 3 + 1 / 3, and one of two ids is entered with 1 / (2 r).

    A last id behind an entry of a is accepted with a if a <= 1 / 2, and with 2 / 3 if a is 1.
    """
    p, q = everywhere((1 / 3, 2 / 3)), everywhere((2 / 3, 1 / 3))
    scale = (5 + math.sqrt(13)) / 6

    accepted = mean(emitted(RULES["multi-block"], unmerged(q, 2, 2, 2), p, q)) - 1

    assert accepted == pytest.approx(2 / 3 + 5 * scale / 9, abs=1e-8)


DELAYED: tuple[Ids, ...] = ((1, 2), (1, 1, 2), (1, 2, 1), (1, 1, 3))
"""Delayed trees: a chain, then branches."""


@pytest.mark.parametrize("name", sorted(set(RULES) - {"single", "block"}))
@pytest.mark.parametrize("shape", DELAYED)
def test_a_delayed_tree_is_exact(name: str, shape: Ids) -> None:
    pair = Pair("free", 11, 2 if len(shape) > 2 else 3)
    p, q = rows(pair)

    chances = emitted(RULES[name], trees(q, shape, CHILDREN[name]), p, q)

    assert distance(chances, p, pair.vocabulary) <= 1e-12


# Rules that are broken on purpose are caught.


def of_all_of_p(batch: TreeBatch, target: Tensor, q: Tensor, drafts: Tensor) -> tuple[Tensor, Tensor]:
    """The scale of p, where only a p is to be handed out."""
    return REUSED(batch, target / target.sum(-1, keepdim=True), q, drafts)


def no_share(batch: TreeBatch, target: Tensor, q: Tensor, drafts: Tensor) -> tuple[Tensor, Tensor]:
    """The residual is short of all that one child could emit at that scale, and not of what any child does."""
    scale, _ = REUSED(batch, target, q, drafts)
    return scale, scale * 0 + 1


def no_scale(batch: TreeBatch, target: Tensor, q: Tensor, drafts: Tensor) -> tuple[Tensor, Tensor]:
    """Every child with p / q."""
    scale, sums = REUSED(batch, target, q, drafts)
    return torch.ones_like(scale), sums


def one_draft(batch: TreeBatch, target: Tensor, q: Tensor, drafts: Tensor) -> tuple[Tensor, Tensor]:
    """A draft less than there are."""
    return REUSED(batch, target, q, (drafts - 1).clamp(min=1))


def bent(change: Callable[[Plan], Plan]) -> Rule:
    """The rule with another plan."""
    return attrs.evolve(rule("multi-block"), plan=lambda batch: change(multi_block.plan(batch)))


def error(tested: Any) -> float:
    """The distance from the target, of a chain of one id and two drafts behind it."""
    p, q = rows(Pair("free", 3, 3))
    return max(
        distance(emitted(tested.distribution, trees(q, shape, independent), p, q), p, 3) for shape in ((1, 2), (2, 1))
    )


def test_the_rule_itself_is_exact_there() -> None:
    assert error(rule("multi-block")) <= 1e-12


@pytest.mark.parametrize("wrong", [of_all_of_p, no_share, no_scale, one_draft])
def test_a_wrong_scale_is_caught(wrong: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multi_block, "_scale", wrong)

    assert error(rule("multi-block")) > 1e-3


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: plan._replace(gain=plan.entry),  # a node is accepted as if its children had not been tried
        lambda plan: plan._replace(rest=torch.ones_like(plan.rest)),  # any id is the last one
        lambda plan: plan._replace(gain=(plan.gain > 0).double()),  # whatever is entered is accepted
    ],
)
def test_a_wrong_plan_is_caught(change: Callable[[Plan], Plan]) -> None:
    assert error(bent(change)) > 1e-3
