"""The published language model with meta-tokens: its size, its data, and that it starts to learn."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from crt_cost.blank import blank
from crt_data.tokens import write_tokens
from crt_run.runs.run import Stage
from crt_run.training.losses import Loss
from crt_run.training.order import seeded
from crt_run.training.trainer import Part, fit
from crtcore import discover
from crtcore.compose.structure import Structurer
from crtcore.kinds import Batch, DatasetSpec, PriorSpec
from crtcore.settings import Training

FILE = Path(__file__).parent.parent / "specs" / "paper" / "meta-tokens-152m.toml"
SPEC: Mapping[str, Any] = tomllib.loads(FILE.read_text())


def prior(**changes: Any) -> Any:
    return Structurer(discover())({**SPEC["prior"], **changes}, PriorSpec)


def dataset(**changes: Any) -> Any:
    inner = {**SPEC["dataset"]["dataset"], **changes}
    return Structurer(discover())({**SPEC["dataset"], "dataset": inner}, DatasetSpec)


def size(**changes: Any) -> int:
    with blank():
        model: nn.Module = prior(**changes).build(50_258, 1024, None)
        return sum(weight.numel() for weight in model.parameters())


def test_it_has_152_million_parameters_of_which_28_are_of_the_second_attention() -> None:
    whole, plain = size(), size(second="none")

    norms = 12 * 768
    assert whole == pytest.approx(152.0e6, rel=2e-3)
    assert whole - plain == 12 * 4 * 768**2 + norms == pytest.approx(28.3e6, rel=2e-3)
    assert size(second="all") == whole
    assert size(embedding="plain") == whole + 50_258 * 768


def test_a_stretched_model_takes_the_weights_of_the_trained_one() -> None:
    yarn = {**SPEC["prior"]["yarn"], "scale": 4}

    with blank():
        trained, stretched = (prior(**changes).build(50_258, 1024, None) for changes in ({}, {"yarn": yarn}))

    shapes = [{name: weight.shape for name, weight in model.state_dict().items()} for model in (trained, stretched)]
    assert shapes[0] == shapes[1]


def test_the_data_of_a_step_are_the_published_ones(tmp_path: Path) -> None:
    training = Structurer(discover())(SPEC["training"]["prior"], Training)
    write_tokens(tmp_path, 50_257, train=4 * 1024, val=4 * 1024)

    data = dataset(folder=str(tmp_path)).build().take("train", torch.arange(4)).data

    assert training.batch * data.shape[1] == 491_520
    assert training.steps * training.batch * data.shape[1] == pytest.approx(98.3e9, rel=1e-3)
    assert (data == 50_257).sum(-1).tolist() == [102] * 4
    assert training.optimizer.warmup * training.steps == pytest.approx(2000)


def test_two_steps_at_a_reduced_size_are_real_ones(tmp_path: Path) -> None:
    training = attrs.evolve(Structurer(discover())(SPEC["training"]["prior"], Training), steps=2, batch=4)
    write_tokens(tmp_path / "c4", 50_257, train=64 * 64, val=64 * 64)
    source = dataset(folder=str(tmp_path / "c4"), length=64).build()
    with seeded(0, "prior"):
        model = prior(layers=2, width=32, heads=2, hidden=0).build(source.vocabulary, 64, source.classes)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    losses: list[float] = []

    def objective(step: int, progress: float) -> Loss:
        loss = weighted(model, source.take("train", torch.arange(step * 4, step * 4 + 4)))
        losses.append(loss.item())
        return Loss(loss, {})

    fit(stage(tmp_path / "stage"), {"prior": Part(model, training.optimizer)}, training, objective)

    # logits of deviation 0.02 * 32**0.5 = 0.113 add 0.006 to ln v, and 232 targets have a standard error of 0.007
    assert losses[0] == pytest.approx(math.log(50_258) + 0.006, abs=0.04)
    assert all(not torch.equal(weight, before[name]) for name, weight in model.named_parameters())


def weighted(model: Any, batch: Batch) -> Tensor:
    """The mean cost of the ids that count."""
    assert batch.weight is not None
    cost = functional.cross_entropy(model(batch.data)[:, :-1].flatten(0, 1), batch.data.flatten(), reduction="none")
    return (cost * batch.weight.flatten()).sum() / batch.weight.sum()


class Around:
    """The part of a run that a stage uses."""

    def record(self, line: Any) -> None: ...

    def stopping(self) -> bool:
        return False


def stage(folder: Path) -> Stage:
    run: Any = Around()
    folder.mkdir()
    return Stage(run, "prior", folder)
