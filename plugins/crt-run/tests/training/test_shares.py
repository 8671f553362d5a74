"""Steps in parts: the same as undivided ones; `tests/ranks` tries shares over processes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crt_nn.ranks import batch_mean, portion, split
from crt_run.ranks.alone import Alone
from crt_run.runs import checkpoint
from crt_run.runs.records import RECORDS, read_records
from crt_run.runs.run import Stage
from crt_run.training import trainer
from crt_run.training.losses import Loss
from crt_run.training.order import batch_at, seeded, step_noise
from crt_run.training.trainer import Part, fit
from crtcore.errors import RunError
from crtcore.kinds import Encoded
from crtcore.noise import Noise
from crtcore.settings import Optimizer, Training

DATA = torch.linspace(-2, 2, 60).reshape(20, 3).double().sin()
BATCH, STEPS = 7, 6


class Around:
    """What a stage needs of a run."""

    def record(self, line: Any) -> None:
        """Nothing else needs it."""

    def stopping(self) -> bool:
        return False


class Counting(nn.Module):
    """A linear map that counts the rows it has seen, as a codebook does."""

    rows: Tensor

    def __init__(self) -> None:
        super().__init__()
        with seeded(0, "main"):
            self.map = nn.Linear(3, 2).double()
        self.register_buffer("rows", torch.zeros((), dtype=torch.float64))

    def forward(self, rows: Tensor, noise: Tensor) -> Encoded:
        features = self.map(rows)[:, None] + noise.view(-1, 1, 1)
        cost = features.square().flatten(1).mean(1)
        mask = torch.ones(features.shape[:2], dtype=torch.bool)
        return Encoded(features, features, features, None, mask, features, cost, cost, cost.mean())

    def after_step(self, encoded: Encoded) -> None:
        self.rows += encoded.features.sum() + len(encoded.features)


def loss_of(module: Counting, extra: Callable[[Tensor], Tensor]) -> Callable[[int, float], Loss]:
    def loss(step: int, progress: float) -> Loss:
        chosen = batch_at(Noise(0, "order"), len(DATA), BATCH, step)
        noise = step_noise(0, "toy", step, len(chosen), torch.device("cpu")).uniforms(0).double() / 2**24
        encoded = module(DATA[chosen], noise)
        term = extra(encoded.features)
        return Loss(encoded.loss + term, {"cost": encoded.loss}, {"extra": term}, encoded)

    return loss


def outcome(
    folder: Path, accumulate: int, extra: Callable[[Tensor], Tensor]
) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    module, run = Counting(), Around()
    folder.mkdir()
    stage = Stage(run, "toy", folder)  # type: ignore[arg-type]
    fit(
        stage, {"main": Part(module, Optimizer(learning_rate=0.1))},
        Training(steps=STEPS, batch=BATCH, accumulate=accumulate), loss_of(module, extra),
    )  # fmt: skip
    lines = read_records(folder / RECORDS)
    numbers = [{key: value for key, value in line.items() if isinstance(value, float)} for line in lines]
    return checkpoint.load(folder / "final").tensors, numbers


@pytest.mark.parametrize("accumulate", [2, 3, 7])
def test_a_step_in_parts_is_the_undivided_step(accumulate: int, tmp_path: Path) -> None:
    def extra(features: Tensor) -> Tensor:
        present = torch.tensor(features.numel())
        return features.abs().sum() / portion(present, features.numel())

    (whole, numbers), (parts, others) = (outcome(tmp_path / str(each), each, extra) for each in (1, accumulate))

    assert whole.keys() == parts.keys()
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-9, atol=1e-9)
    for one, other in zip(numbers, others, strict=True):
        assert {"loss", "cost", "gradient_norm.main", "feature_gradient_norm.extra"} <= one.keys()
        assert other == pytest.approx(one, rel=1e-9)


def test_a_function_of_a_mean_is_refused_in_parts(tmp_path: Path) -> None:
    def extra(features: Tensor) -> Tensor:
        return batch_mean(features).square().sum()

    with pytest.raises(RunError, match=r"needs the statistics of the whole batch .*set `accumulate` of this training"):
        outcome(tmp_path / "two", 2, extra)


def test_a_function_of_a_mean_that_does_not_ask_for_the_batch_is_found_out(tmp_path: Path) -> None:
    """The offender: it is why `batch_mean` exists."""

    def extra(features: Tensor) -> Tensor:
        return features.mean(0).square().sum()

    (whole, _), (parts, _) = (outcome(tmp_path / str(each), each, extra) for each in (1, 2))

    assert max(float((value - parts[name]).abs().max()) for name, value in whole.items()) > 1e-3


class Two(Alone):
    """A place among two ranks; a refusal comes before anything is exchanged."""

    size = 2


def test_a_batch_has_a_sample_for_each_part_of_each_rank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "current", Two)
    message = r"stage 'toy': expected a batch of at least 8 samples, .* 2 rank\(s\) and each of 4 part\(s\) .*, got 7"
    stage = Stage(Around(), "toy", tmp_path)  # type: ignore[arg-type]
    with pytest.raises(RunError, match=message):
        trainer.Trainer(
            stage, {"main": Part(Counting(), Optimizer())}, Training(steps=STEPS, batch=BATCH, accumulate=4), False
        )


def test_alone_and_undivided_no_share_is_at_hand(tmp_path: Path) -> None:
    seen = []

    def extra(features: Tensor) -> Tensor:
        seen.append(split())
        return features.sum() * 0

    outcome(tmp_path / "one", 1, extra)
    outcome(tmp_path / "two", 2, extra)

    assert seen == list(itertools.chain([False] * STEPS, [True] * 2 * STEPS))
