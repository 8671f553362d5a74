"""A prior behind processors: each node is processed with its own path, and the laws of priors still hold."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import torch
from torch import Tensor

from crt_basics.priors.specs import Table
from crt_hf.processed import Processed
from crt_laws import obeys
from crtcore.kinds import PriorSpec


def shifted(ids: Tensor, logits: Tensor) -> Tensor:
    """Logits that depend on the whole path: its sum raises an id, its length lowers another."""
    raised = (ids.sum(1) + 3 * ids[:, 0]) % logits.shape[1]
    return logits.index_put((torch.arange(len(ids)), raised), logits.amax(1) + 0.5 * ids.shape[1])


@attrs.frozen(kw_only=True)
class Shifted(PriorSpec):
    """A table behind a processor."""

    def build(self, vocabulary: int, length: int, classes: int | None) -> Any:
        return Processed(Table().build(vocabulary, length, classes), [shifted])


test_a_table_behind_a_processor = obeys(Shifted())


def table() -> Any:
    prior = Table().build(5, 9, None)
    torch.manual_seed(0)
    for parameter in prior.parameters():
        parameter.data += torch.randn_like(parameter)
    return prior


@torch.no_grad()
def test_each_row_has_its_own_processor_and_what_stands_before_it() -> None:
    seen: list[tuple[str, list[list[int]]]] = []

    def record(name: str) -> Any:
        return lambda ids, logits: (seen.append((name, ids.tolist())), logits)[1]

    prior = Processed(table(), [record("a"), record("b")], before=[[4, 4], []])
    session = prior.open(torch.tensor([[1, -1], [2, 3]]), capacity=5, room=4)
    session.extend(torch.tensor([[0, 1, 2], [3, -1, 4]]), torch.tensor([[-1, 0, -1], [-1, 0, 1]]))

    assert seen == [
        ("a", [[4, 4, 1]]),
        ("b", [[2, 3]]),
        ("a", [[4, 4, 1, 0], [4, 4, 1, 2]]),
        ("a", [[4, 4, 1, 0, 1]]),
        ("b", [[2, 3, 3]]),
        ("b", [[2, 3, 3, 4]]),
    ]


def test_committed_ids_are_followed_as_they_come() -> None:
    followed: list[tuple[int, list[int]]] = []
    prior = Processed(table(), [None], follow=lambda row, ids: followed.append((row, list(ids))))
    session = prior.open(torch.tensor([[1], [2]]), capacity=5, room=4)

    session.extend(torch.tensor([[0, 1, 2], [3, 4, -1]]), torch.tensor([[-1, 0, -1], [-1, 0, 1]]))
    session.commit(torch.tensor([[0, 1, -1], [-1, -1, -1]]))
    session.extend(torch.tensor([[4], [1]]))
    session.commit(torch.tensor([[0], [0]]))

    assert followed == [(0, [0, 1]), (0, [4]), (1, [1])]


def test_another_number_of_processors_than_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="expected processes for 3 rows, or one, got 2"):
        Processed(table(), [None, None])(torch.zeros(3, 2, dtype=torch.int64))


def test_logits_are_processed_in_float32_at_least_as_in_transformers() -> None:
    seen: list[torch.dtype] = []

    def process(ids: Tensor, logits: Tensor) -> Tensor:
        seen.append(logits.dtype)
        return logits + 2**-12

    prior = Processed(table(), [process])
    halves = torch.ones(1, 1, 5, dtype=torch.bfloat16)

    assert (prior.process(halves, [[[1]]]) == 1 + 2**-12).all()
    assert prior.process(halves.double(), [[[1]]]).dtype == torch.float64
    assert seen == [torch.float32, torch.float64]


@torch.no_grad()
def test_a_draft_goes_on_where_all_its_ids_are_excluded() -> None:
    """As a grammar excludes them that asks for an id which the draft lacks; a target has nothing to go on with."""

    def excluding(ids: Tensor, logits: Tensor) -> Tensor:
        return logits.masked_fill((ids[:, -1:] == 2), -torch.inf)

    ids, prior = torch.tensor([[2, 3]]), table()
    plain, draft, target = (
        each(ids)[0] for each in (prior, Processed(prior, [excluding], drafts=True), Processed(prior, [excluding]))
    )

    assert draft.equal(plain)
    assert target[1].equal(torch.full_like(plain[1], -torch.inf))
    assert target[[0, 2]].equal(plain[[0, 2]])
