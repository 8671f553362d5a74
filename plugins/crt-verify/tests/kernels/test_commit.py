"""The commit of keys and values keeps what a session keeps, and changes nothing else."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from crt_nn.context import KVCache
from crt_verify.kernels.commit import commit

FEW = settings(max_examples=30, deadline=None, derandomize=True, database=None)
BOUND, ROOM = 9, 6


@st.composite
def committed(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    """A cache, paths down its tentative nodes, and how many slots each row has committed."""
    rows = draw(st.integers(1, 4))
    nodes = st.lists(st.integers(0, ROOM - 1), unique=True, max_size=ROOM).map(sorted)
    paths = [draw(nodes) for _ in range(rows)]
    path = torch.tensor([[*nodes, *[-1] * (ROOM - len(nodes))] for nodes in paths])
    counts = torch.tensor([draw(st.integers(0, BOUND)) for _ in range(rows)])
    number = draw(st.sampled_from([torch.float32, torch.bfloat16, torch.float64]))
    kv = torch.arange(rows * (BOUND + ROOM) * 4).view(rows, BOUND + ROOM, 2, 2).to(number)
    return kv, path, counts


@FEW
@given(committed())
def test_committed_slots_are_those_of_a_session(case: tuple[Tensor, Tensor, Tensor]) -> None:
    kv, path, counts = case
    cache, layer = KVCache(kv.shape[1]), nn.Identity()
    cache.update(layer, (kv,))
    steps = torch.arange(path.shape[1])
    cache.move(BOUND + path.clamp(min=0), (counts[:, None] + steps).clamp(max=cache.slots - 1))
    cache.offset = cache.slots
    (expected,) = cache.update(layer, (kv[:, :0],))

    commit(kv, path, counts, BOUND)

    for row, kept in enumerate((counts + (path >= 0).sum(-1)).tolist()):
        assert torch.equal(kv[row, :kept], expected[row, :kept])


def test_slots_behind_the_committed_ones_do_not_change() -> None:
    kv = torch.arange(15.0)[None, :, None].clone()

    commit(kv, torch.tensor([[1, 4, -1]]), torch.tensor([3]), BOUND)

    assert kv.flatten().tolist() == [0, 1, 2, 10, 13, *range(5, 15)]


@pytest.mark.parametrize(
    ("kv", "reason"),
    [
        (torch.zeros(1, 4, 1, dtype=torch.bfloat16), "expected contiguous slots of whole 4-byte words, got 2 bytes"),
        (torch.zeros(1, 2, 4).mT, "expected contiguous slots"),
        (torch.zeros(2, 4, 2), "expected a path and a count for each of 2 rows, got 1, 1"),
    ],
)
def test_a_cache_that_does_not_fit_is_refused(kv: Tensor, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        commit(kv, torch.tensor([[0]]), torch.tensor([1]), 2)
