"""Two ranks that train on halves of a batch keep the entries of one process with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed

from crt_vq import VQ
from crt_vq.bottlenecks.codebook_updates import entry_means
from crt_vq.bottlenecks.ranks import broadcast, summed

STEPS, RANKS, SECONDS = 3, 2, 120
BOOKS: dict[str, dict[str, Any]] = {
    "averaged": {"decay": 0.5},
    "restarted": {"decay": 0.5, "patience": 2},
    "centred": {"start": "k-means"},
}


def features(step: int) -> Tensor:
    """Four samples of eight features."""
    return torch.randn(4, 8, 2, generator=torch.Generator().manual_seed(step), dtype=torch.float64)


def kept(fields: dict[str, Any], rows: slice) -> dict[str, Tensor]:
    """A codebook's state after a few steps on these rows of each batch."""
    torch.manual_seed(0)
    codebook = VQ(codes=16, width=2, compare="euclidean", **fields).build().double()
    for step in range(STEPS):
        codebook(features(step)[rows].requires_grad_()).loss.backward()
    return codebook.state_dict()


def work(rank: int, folder: str) -> None:
    """One rank: its half of every batch."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=RANKS)
    rows = slice(2 * rank, 2 * rank + 2)
    torch.save({name: kept(fields, rows) for name, fields in BOOKS.items()}, f"{folder}/{rank}.pt")
    distributed.barrier()
    os._exit(0)  # torch 2.13 aborts now and then where a process with gloo ends by itself


def test_two_ranks_keep_the_entries_of_one_process_with_the_whole_batch(tmp_path: Path) -> None:
    workers = [subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)]) for rank in range(RANKS)]
    try:
        codes = [worker.wait(SECONDS) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()

    assert codes == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(RANKS))

    assert all(torch.equal(first[book][name], second[book][name]) for book in BOOKS for name in first[book])
    whole = kept(BOOKS["averaged"], slice(None))
    for name, value in whole.items():
        torch.testing.assert_close(first["averaged"][name], value)


@pytest.mark.parametrize("given", [torch.zeros(3, 2).T, torch.zeros(8)[::2], torch.zeros(1).expand(3)])
@pytest.mark.parametrize("share", [broadcast, summed])
def test_tensors_that_are_not_contiguous_are_refused(share: Callable[[Tensor], Tensor], given: Tensor) -> None:
    """Gloo adds every second number of `arange(8)[::2]` to the wrong place, without an error."""
    with pytest.raises(AssertionError, match="expected a contiguous tensor"):
        share(given)


def test_entries_need_not_be_contiguous() -> None:
    entries, features = torch.zeros(2, 3).T, torch.tensor([[1.0, 2], [3, 4], [5, 6]])

    means, counts = entry_means(features, torch.tensor([2, 0, 2]), entries)

    assert means.tolist() == [[3, 4], [0, 0], [3, 4]]
    assert counts.tolist() == [1, 0, 2]


if __name__ == "__main__":
    work(int(sys.argv[1]), sys.argv[2])
