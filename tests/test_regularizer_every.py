"""A regulariser that penalises some steps alone: the last of every few, or those at the end of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from crt_cost.outline import outlined
from crt_cost.stages import costs
from crt_run.runs import checkpoint
from crt_run.runs.run import Run, Stage
from crt_run.training.objective import Inputs, Objective, built
from crt_run.training.outline import BlankData
from crt_run.training.stages import build_dataset
from crt_run.training.trainer import fit
from crtcore import discover
from crtcore.compose.plan import load
from crtcore.errors import RunError, Stopped

SMOKE = Path(__file__).parents[1] / "specs" / "smoke.toml"


def objective(*overrides: str) -> Objective:
    """The tokenizer's objective of the smoke spec, on blank data."""
    plan = load(SMOKE, discover(), overrides).points[0].plan
    stage = plan.stages[0]
    return built(Inputs(stage, BlankData(outlined(plan.parts["dataset"]), stage.training.batch)))


def terms(step: int, progress: float, *overrides: str) -> Any:
    return objective(*overrides).loss(step, progress).terms


@pytest.mark.parametrize(("step", "due"), [(0, False), (1, False), (2, True), (3, False), (5, True)])
def test_the_last_of_every_three_steps_has_the_loss_at_three_times_the_weight(step: int, due: bool) -> None:
    whole = terms(step, 0.5)["regularizer.0"]

    result = terms(step, 0.5, "regularizer.0.every=3")

    assert ("regularizer.0" in result) == due
    if due:
        assert result["regularizer.0"].item() == pytest.approx(3 * whole.item())


def test_on_other_steps_the_loss_is_that_without_the_regulariser() -> None:
    loss, alone = (objective(change).loss(0, 0.5).total for change in ("regularizer.0.every=2", "regularizer=[]"))

    assert loss.item() == alone.item()


def test_costs_are_counted_with_it() -> None:
    """At progress 1, which no step of a training has."""
    assert "regularizer.0" in terms(0, 1.0, "regularizer.0.every=7")


def test_the_default_leaves_the_address_of_a_stage_as_it_was() -> None:
    whole, every = (
        load(SMOKE, discover(), (f"regularizer.0.every={number}",)).points[0].plan.stages[0].key for number in (1, 2)
    )

    assert whole != every
    assert whole == load(SMOKE, discover()).points[0].plan.stages[0].key


LATE = ("regularizer.0.last=0.25", "training.tokenizer.steps=8")


class Around:
    """What a stage needs of a run: it stops after the given number of steps."""

    def __init__(self, steps: int | None = None) -> None:
        self.left = steps

    def record(self, line: Any) -> None: ...

    def stopping(self) -> bool:
        if self.left is None:
            return False
        self.left -= 1
        return self.left == 0


def trained(folder: Path, *overrides: str, stops: tuple[int, ...] = ()) -> dict[str, Any]:
    """What the smoke spec's tokenizer and regulariser end with, resumed after each stop."""
    plan = load(SMOKE, discover(), overrides).points[0].plan
    dataset, stage = plan.parts["dataset"].build(), plan.stages[0]
    folder.mkdir()
    for steps in (*stops, None):
        own = built(Inputs(stage, dataset))
        run: Any = Around(steps)
        try:
            fit(Stage(run, "toy", folder), own.parts, stage.training, own.loss)
        except Stopped:
            continue
    return dict(checkpoint.load(folder / "final").tensors)


@pytest.mark.parametrize(("step", "due"), [(0, False), (5, False), (6, True), (7, True)])
def test_the_last_quarter_of_eight_steps_alone_has_the_loss(step: int, due: bool) -> None:
    assert ("regularizer.0" in terms(step, step / 8, *LATE)) == due


def test_before_its_part_of_training_the_head_is_not_called() -> None:
    late = objective(*LATE)
    calls: list[int] = []
    late.parts["regularizer.0"].module.register_forward_pre_hook(lambda *_: calls.append(1))

    for step in range(8):
        late.loss(step, step / 8)

    assert len(calls) == 2


def test_before_its_part_the_loss_is_that_without_the_regulariser() -> None:
    loss, alone = (objective(*changes).loss(3, 3 / 8).total for changes in (LATE, ("regularizer=[]",)))

    assert loss.item() == alone.item()


@pytest.mark.parametrize("stops", [(3,), (6,), (7,), (2, 5)], ids=str)
def test_a_training_resumed_around_the_start_of_the_loss_is_the_same_bit_for_bit(
    tmp_path: Path, stops: tuple[int, ...]
) -> None:
    whole = trained(tmp_path / "whole", *LATE)

    resumed = trained(tmp_path / "resumed", *LATE, stops=stops)

    assert whole.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_the_head_learns_at_its_own_course_of_the_step_size(tmp_path: Path) -> None:
    """At a quarter of eight steps, without warm-up: cosine over two steps ends at 0, so that the first alone counts."""
    changes = (*LATE, "regularizer.0.optimizer.warmup=0", "regularizer.0.optimizer.beta1=0")
    plan = load(SMOKE, discover(), changes).points[0].plan
    own = built(Inputs(plan.stages[0], plan.parts["dataset"].build()))
    before = {name: value.clone() for name, value in own.parts["regularizer.0"].module.state_dict().items()}

    after = trained(tmp_path / "it", *changes)

    rate = plan.parts["regularizer"][0].optimizer.learning_rate
    moved = max(float((after[f"part.regularizer.0.{name}"] - value).abs().max()) for name, value in before.items())
    assert moved == pytest.approx(rate / 2, rel=1e-2)


@pytest.mark.parametrize(("changes", "share"), [(("regularizer.0.every=4",), 1 / 4), (LATE[:1], 1 / 4)], ids=str)
def test_the_cost_of_a_regulariser_is_that_of_the_steps_that_have_it(changes: tuple[str, ...], share: float) -> None:
    def flops(*overrides: str) -> float:
        plan = load(SMOKE, discover(), ("training.tokenizer.steps=8", *overrides)).points[0].plan
        return costs(plan, outlined(plan.parts["dataset"]))[0].flops

    whole, alone = flops(), flops("regularizer=[]")

    assert flops(*changes) == pytest.approx(alone + share * (whole - alone))


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        (("regularizer.0.every=9", "training.tokenizer.steps=8"), False),
        (("regularizer.0.every=8", "training.tokenizer.steps=8"), True),
        (("regularizer.0.last=0.05", "training.tokenizer.steps=8"), False),
        (("regularizer.0.last=0.25", "regularizer.0.every=5", "training.tokenizer.steps=8"), False),
        (("regularizer.0.last=0.5", "regularizer.0.every=5", "training.tokenizer.steps=8"), True),
    ],
    ids=str,
)
def test_a_regulariser_that_no_step_has_is_refused(changes: tuple[str, ...], due: bool, tmp_path: Path) -> None:
    plan = load(SMOKE, discover(), changes).points[0].plan
    run = Run(plan, tmp_path)
    inputs = Inputs(plan.stages[0], build_dataset(plan, run), run=run)

    if due:
        assert built(inputs).parts.keys() == {"tokenizer", "regularizer.0"}
        return
    with pytest.raises(RunError, match=r"^regularizer\.0: none of 8 steps has its loss, by `every = \d` and `last = "):
        built(inputs)
