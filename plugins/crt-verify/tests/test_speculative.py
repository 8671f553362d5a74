"""The batched decoder: calls, counts, and what it refuses."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from crt_verify.specs import SpeculativeDecoding
from torch import Tensor

from crtcore import FieldError, Limits, Sampling
from crtcore.builtin.table import TablePrior
from crtcore.kinds import Drawn, Prior, Session

DECODER = SpeculativeDecoding(length=3).build()


def table(seed: int, vocabulary: int = 4) -> TablePrior:
    """A random table that looks two ids back."""
    generator = torch.Generator().manual_seed(seed)
    return TablePrior(torch.randn(1, (vocabulary + 1) ** 2, vocabulary, generator=generator, dtype=torch.float64))


def draw(target: Prior, draft: Prior | None, *, length: int = 13, rows: int = 50, **other: Any) -> Drawn:
    """Rows after a prompt of one id."""
    limits = Limits(length=length, **other)
    prompt = torch.ones(rows, 1, dtype=torch.int64)
    return DECODER.draw(target, prompt, draft=draft, limits=limits, sampling=Sampling(), seeds=torch.arange(rows))


class Counted:
    """A prior that counts the calls of its sessions, the one that opens them included."""

    def __init__(self, prior: Prior) -> None:
        self.prior, self.vocabulary, self.calls = prior, prior.vocabulary, 0

    def __call__(self, ids: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.prior(ids, condition)

    def open(self, ids: Tensor, condition: Tensor | None = None, *, capacity: int, room: int) -> Session:
        self.calls += 1
        self.session = self.prior.open(ids, condition, capacity=capacity, room=room)
        self.tip = self.session.tip
        return self

    def extend(self, ids: Tensor, parents: Tensor | None = None) -> Tensor:
        self.calls += 1
        return self.session.extend(ids, parents)

    def commit(self, path: Tensor) -> None:
        self.session.commit(path)
        self.tip = self.session.tip


def test_counted_calls_are_those_made() -> None:
    target, draft = Counted(table(0)), Counted(table(1))

    drawn = draw(target, draft, rows=1)

    assert target.calls == int(drawn.target_calls)
    assert draft.calls >= int(drawn.draft_calls) == 1 + int(drawn.proposed)


def test_a_draft_equal_to_the_target_is_accepted_whole() -> None:
    drawn = draw(table(0), table(0))

    assert drawn.accepted.tolist() == [[0, 3, 3, 3]] * 50  # 1 + 4 + 4 + 4 ids
    assert drawn.target_calls.tolist() == [4] * 50


def test_a_chain_is_no_longer_than_what_is_left() -> None:
    drawn = draw(table(0), table(0), length=7)

    assert drawn.accepted.tolist() == [[0, 3, 1]] * 50  # 1 + 4 + 2 ids
    assert drawn.proposed.tolist() == [4] * 50


def test_a_draft_that_is_always_wrong_costs_no_target_call() -> None:
    target, draft = (TablePrior(row[None, None]) for row in torch.tensor([[0.0, -math.inf], [-math.inf, 0.0]]))

    drawn = draw(target, draft, length=5)

    assert drawn.ids.tolist() == [[0] * 5] * 50
    assert drawn.target_calls.tolist() == [5] * 50


def test_more_target_calls_than_ids_are_never_made() -> None:
    drawn = draw(table(0), table(1), stop=(2,))

    assert (drawn.target_calls <= (drawn.ids >= 0).sum(-1)).all()


def test_float32_priors_are_drawn_from() -> None:
    target, draft = table(0).float(), table(1).float()

    drawn = draw(target, draft)

    assert (drawn.ids >= 0).all()


def test_no_draft_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a draft prior"):
        draw(table(0), None)


def test_another_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a draft over the target's 4 ids, got 3"):
        draw(table(0), table(1, vocabulary=3))


@pytest.mark.parametrize("broken", ["target", "draft"])
def test_logits_that_are_no_numbers_are_named(broken: str) -> None:
    logits = torch.zeros(1, 5, 4, dtype=torch.float64)
    logits[0, 2] = math.nan  # after id 2
    priors = {"target": table(0), "draft": table(1)} | {broken: TablePrior(logits)}

    with pytest.raises(ValueError, match=rf"row \d+, node \d: the {broken}'s law has a NaN"):
        draw(priors["target"], priors["draft"])


def test_too_many_rows_are_not_enumerated() -> None:
    prompt = torch.zeros(1, 0, dtype=torch.int64)

    with pytest.raises(ValueError, match=r"expected at most 100000 rows, got 4\*\*9"):
        DECODER.law(table(0), prompt, draft=table(1), limits=Limits(length=9), sampling=Sampling())


def test_a_chain_has_at_least_one_id() -> None:
    with pytest.raises(FieldError, match="length: expected at least 1, got 0"):
        SpeculativeDecoding(length=0)
