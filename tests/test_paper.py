"""The published recipes: their numbers, how they differ, and that every stage of them starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from crt_cost.outline import outlined
from crt_cost.stages import StageCost, costs
from crt_data.pictures import paint_many
from crt_run.runs.execute import execute
from crtcore import discover
from crtcore.compose.plan import load
from crtcore.kinds import Plan

PAPER = Path(__file__).parent.parent / "specs" / "paper"
CRT, LLAMAGEN = "crt-imagenet-256", "llamagen-imagenet-256"
BARE = "regularizer.0.weights="
SMALL = (
    "dataset.size=32", "dataset.crops=2", BARE, "regularizer.1.layers=1", "experiment.samples=4",
    "tokenizer.channels=32", "training.tokenizer.steps=2", "training.tokenizer.batch=2",
)  # fmt: skip
BRIEF = ("training.prior.steps=2", "training.prior.batch=2")


def plan(name: str, *overrides: str) -> Plan:
    (point,) = load(PAPER / f"{name}.toml", discover(), overrides).points
    return point.plan


def cost(name: str) -> list[StageCost]:
    whole = plan(name, BARE, "training.tokenizer.batch=1", "training.prior.batch=1")
    return costs(whole, outlined(whole.parts["dataset"]))


def test_the_published_sizes_come_out() -> None:
    tokenizer, prior = cost(LLAMAGEN)

    assert tokenizer.parameters["tokenizer"] == pytest.approx(72e6, rel=0.01)
    assert tokenizer.parameters["regularizer.1"] == pytest.approx(2.8e6, rel=0.02)
    assert prior.parameters["prior"] == pytest.approx(111e6, rel=0.01)
    assert tokenizer.ids == prior.ids == 256


def test_causal_regularisation_takes_five_per_cent_of_a_step() -> None:
    with_it, without = cost(CRT)[0], cost(LLAMAGEN)[0]

    share = (with_it.flops / 380_000) / (without.flops / 400_000) - 1
    assert share == pytest.approx(0.05, abs=0.003)


def test_crt_is_the_baseline_with_a_regulariser_and_fewer_steps() -> None:
    ours, baseline = ({**plan(name).identity} for name in (CRT, LLAMAGEN))

    differing = {name for name in ours if ours[name] != baseline[name]}
    assert differing == {"regularizer", "training"}
    assert ours["training"]["prior"] == baseline["training"]["prior"]
    assert {**ours["training"]["tokenizer"], "steps": 400_000} == baseline["training"]["tokenizer"]
    perceptual, adversarial, causal = ours["regularizer"]
    assert [perceptual, {**adversarial, "start": 0.05}] == baseline["regularizer"]
    assert causal["use"] == "causal"


@pytest.mark.parametrize("name", [CRT, LLAMAGEN])
def test_a_late_loss_starts_at_the_published_step(name: str) -> None:
    whole = plan(name)

    steps = whole.training["tokenizer"].steps
    regularizers = whole.parts["regularizer"]
    assert regularizers[1].start * steps == pytest.approx(20_000, rel=1e-3)
    assert [each.ramp * steps for each in regularizers[2:]] == pytest.approx([1000] * (name == CRT), rel=1e-3)


@pytest.mark.parametrize("name", [CRT, LLAMAGEN])
def test_guided_samples_are_of_the_trained_prior(name: str) -> None:
    trained, guided = plan(name), plan(f"{name}-guided")

    assert [stage.key for stage in guided.stages] == [stage.key for stage in trained.stages]
    assert guided.parts["prior"].prior == trained.parts["prior"]
    assert guided.parts["prior"].scale == 2.0
    assert guided.sampling == trained.sampling


def shallow(path: str) -> tuple[str, ...]:
    """A small prior at this path of a spec file."""
    return (f"{path}.layers=1", f"{path}.width=32", f"{path}.heads=2")


@pytest.mark.parametrize("name", [CRT, LLAMAGEN])
def test_every_stage_starts_on_any_images_and_guided_samples_reuse_them(tmp_path: Path, name: str) -> None:
    for half, each in (("train", 60), ("val", 4)):
        paint_many(tmp_path / "images" / half, ("ape", "bee"), each)
    head = ("regularizer.2.width=32", "regularizer.2.heads=2") if name == CRT else ()
    shared = (*SMALL, *head, f"dataset.folder={tmp_path / 'images'}")

    trained = execute(plan(name, *shared, *BRIEF, *shallow("prior")), tmp_path)["numbers"]

    drawn = plan(f"{name}-guided", *shared, *BRIEF, *shallow("prior.prior"))
    assert execute(drawn, tmp_path)["numbers"]["reconstruction_mse"] == trained["reconstruction_mse"]
    for stage in ("tokenizer", "prior"):
        assert len(list((tmp_path / "stages" / stage).glob("*/final"))) == 1
