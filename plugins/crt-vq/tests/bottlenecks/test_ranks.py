"""Two ranks that train on shares of a batch keep the entries of one process with the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from crt_nn.ranks import Share, sharing
from crt_vq import VQ
from crt_vq.bottlenecks.codebook_updates import entry_means
from crtcore.kinds import Encoded

STEPS, RANKS, ROWS, SECONDS = 4, 2, 5, 300
BOOKS: dict[str, dict[str, Any]] = {
    "averaged": {"decay": 0.5},
    "restarted": {"decay": 0.5, "patience": 2},
    "centred": {"start": "k-means"},
}


def features(step: int) -> Tensor:
    """Five samples of eight features."""
    return torch.randn(ROWS, 8, 2, generator=torch.Generator().manual_seed(step), dtype=torch.float64)


def kept(fields: dict[str, Any], share: Share) -> dict[str, Tensor]:
    """A codebook's state after a few steps on a share of each batch."""
    torch.manual_seed(0)
    codebook = VQ(codes=16, width=2, compare="euclidean", **fields).build().double()
    for step in range(STEPS):
        own = features(step)[share.rows.start : share.rows.stop]
        output = codebook(own)
        mask = torch.ones(output.ids.shape, dtype=torch.bool)
        zero = own.new_zeros(len(own))
        with sharing(share if share.parts > 1 else None):
            codebook.after_step(Encoded(own, own, output.codes, output.ids, mask, own, zero, zero, zero[0]))
    return codebook.state_dict()


def work(rank: int, folder: str) -> None:
    """One rank: its share of every batch."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=RANKS)
    share = Share(rank, RANKS, ROWS)
    torch.save({name: kept(fields, share) for name, fields in BOOKS.items()}, f"{folder}/{rank}.pt")
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
    whole = {name: kept(fields, Share(0, 1, ROWS)) for name, fields in BOOKS.items()}
    for rank in range(RANKS):
        here = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert all(torch.equal(here[book][name], value) for book in BOOKS for name, value in whole[book].items())
    fresh = VQ(codes=16, width=2, compare="euclidean").build()
    assert all(not torch.equal(state["entries"].float(), fresh.entries) for state in whole.values())


def test_entries_need_not_be_contiguous() -> None:
    entries, features = torch.zeros(2, 3).T, torch.tensor([[1.0, 2], [3, 4], [5, 6]])

    means, counts = entry_means(features, torch.tensor([2, 0, 2]), entries)

    assert means.tolist() == [[3, 4], [0, 0], [3, 4]]
    assert counts.tolist() == [1, 0, 2]


if __name__ == "__main__":
    work(int(sys.argv[1]), sys.argv[2])
