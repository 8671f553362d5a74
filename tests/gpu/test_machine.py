"""A rehearsal refuses what a CUDA graph could not hold, and replays on the current inputs."""

from __future__ import annotations

from collections.abc import Callable

import graphs
import pytest
import torch
from machine import Forbidden, here
from torch import Tensor


def test_a_replay_reads_the_current_values_of_its_inputs() -> None:
    values = torch.zeros(3)
    again = here().captured(lambda: (values + 1,))
    values.fill_(4)

    (made,) = again()

    assert made.tolist() == [5.0] * 3


WAITS: dict[str, Callable[[Tensor], object]] = {
    "a number": lambda x: x.sum().item(),
    "a truth": lambda x: bool(x.any()),
    "places": lambda x: x.nonzero(),
    "a mask": lambda x: x[x > 0],
    "what a mask puts": lambda x: x.clone().index_put_((x > 0,), torch.zeros_like(x[0])),
    "a list": lambda x: x + torch.tensor([1.0, 2.0, 3.0]),
}


@pytest.mark.parametrize("name", WAITS)
def test_an_operator_that_waits_for_the_gpu_is_refused(name: str) -> None:
    values = torch.ones(3)

    with pytest.raises(Forbidden, match="expected what a CUDA graph can hold, got aten"):
        here().captured(lambda: WAITS[name](values))


@pytest.mark.parametrize(
    "call", [lambda x: x.where(x > 0, 0), lambda x: x[torch.zeros_like(x).long()], lambda x: x.masked_fill(x > 0, 2.0)]
)
def test_an_operator_that_a_graph_can_hold_is_accepted(call: Callable[[Tensor], Tensor]) -> None:
    again = here().captured(lambda: call(torch.ones(3)))

    assert again().shape == (3,)


@pytest.mark.parametrize("number", [None, torch.bfloat16])
@pytest.mark.parametrize("rule", ["single", "recursive"])
def test_a_replayed_verdict_is_that_of_the_current_trees(rule: str, number: torch.dtype | None) -> None:
    assert graphs.replayed(rule, "path-serial", number, 200) == 0


def test_a_replay_on_the_first_trees_is_counted_as_different(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "put", lambda *_: None)

    assert graphs.replayed("recursive", "path-serial", None, 200) > 0


def test_a_replayed_commit_is_that_of_the_current_slots() -> None:
    assert graphs.committed(50) == 0
