"""Weights cut over two ranks with uneven shares are trained as in one process, by a loss of means of the batch too."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crt_nn.ranks import batch_mean, rows_of
from crt_run.runs.run import Stage
from crt_run.training.losses import Loss
from crt_run.training.order import seeded
from crt_run.training.trainer import Part, Trainer
from crtcore.kinds import Encoded
from crtcore.settings import Optimizer, Training

DATA = torch.linspace(-2, 2, 45).reshape(5, 3, 3).double().exp()
"""Five rows, of which two ranks take two and three."""
STEPS, RANKS, SECONDS = 4, 2, 300
SHARDINGS = ("none", "full")


class Blocks(nn.Module):
    """Linear maps one after another, as `fully_shard` needs them."""

    def __init__(self) -> None:
        super().__init__()
        with seeded(0, "main"):
            self.blocks = nn.ModuleList(nn.Linear(3, 3).double() for _ in range(2))

    def forward(self, rows: Tensor) -> Encoded:
        features = rows
        for block in self.blocks:
            features = block(features).tanh()
        cost = features.square().flatten(1).mean(1)
        mask = torch.ones(features.shape[:2], dtype=torch.bool)
        return Encoded(features, features, features, None, mask, features, cost, cost, cost.mean())


def trained(sharding: str) -> dict[str, Any]:
    """The readings of each step, and the weights at the end."""
    module = Blocks()

    def loss(step: int, progress: float) -> Loss:
        rows = rows_of(len(DATA))
        encoded = module(DATA[rows.start : rows.stop])
        apart = (encoded.features - batch_mean(encoded.features)).square()
        term = apart.mean() + batch_mean(encoded.features).pow(3).sum()
        return Loss(encoded.loss + term, {"cost": encoded.loss}, {"term": term}, encoded)

    stage = Stage(None, "toy", Path())  # type: ignore[arg-type]
    training = Training(steps=STEPS, batch=len(DATA), sharding=sharding)
    trainer = Trainer(stage, {"main": Part(module, Optimizer(learning_rate=0.1))}, training, False)
    readings = []
    for _ in range(STEPS):
        trainer.advance(loss)
        readings.append(trainer.metrics)
    trainer.layout.end(module)
    whole = trainer.layout.gathered(dict(module.named_parameters()), keep=True)
    return {"readings": readings, "weights": {name: value.tolist() for name, value in whole.items()}}


def work(folder: Path) -> None:
    """One rank: both ways."""
    from crt_run.ranks import environment
    from crt_run.ranks.group import joined, together

    torch.set_num_threads(1)
    group = joined(environment.place())
    with together(group):
        results = {sharding: trained(sharding) for sharding in SHARDINGS}
        (folder / f"{group.rank}.json").write_text(json.dumps(results))
        group.meet()
    os._exit(0)  # torch 2.13 aborts now and then where a process with gloo ends by itself


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each rank has."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port = opened.getsockname()[1]
    names = {"WORLD_SIZE": str(RANKS), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen(
            [sys.executable, __file__, str(folder)],
            env=os.environ | names | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(RANKS)
    ]
    try:
        assert [worker.wait(SECONDS) for worker in workers] == [0] * RANKS
    finally:
        for worker in workers:
            worker.kill()
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(RANKS)]


@pytest.mark.slow
@pytest.mark.parametrize("sharding", SHARDINGS)
def test_ranks_with_uneven_shares_train_as_one_process(sharding: str, ranks: list[dict[str, Any]]) -> None:
    """Readings are losses and norms of gradients, at the features too; gradients go through means of the batch."""
    alone = trained(sharding)

    for rank in ranks:
        for one, other in zip(alone["readings"], rank[sharding]["readings"], strict=True):
            assert {"loss", "gradient_norm.main", "feature_gradient_norm.term"} <= one.keys()
            assert other == pytest.approx(one, rel=1e-6)
        assert rank[sharding]["weights"].keys() == alone["weights"].keys()
        for name, value in alone["weights"].items():
            torch.testing.assert_close(torch.tensor(rank[sharding]["weights"][name]), torch.tensor(value))


if __name__ == "__main__":
    work(Path(sys.argv[1]))
