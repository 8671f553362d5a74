"""The scaling study: its points, that its arms differ in the regularisers alone, what it refuses, and going on."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
import torch

from crt_basics import plugin
from crt_laws.toys import Chain, Patches
from crt_report.grid import grid
from crt_run.runs import checkpoint
from crt_run.runs.execute import execute
from crt_scaling import numbers
from crt_scaling.spec import Scaling
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import SpecError, Stopped
from crtcore.hooks import Component
from crtcore.kinds import DecoderSpec, Plan
from crtcore.registry import Registry


@attrs.frozen(kw_only=True)
class Drafting(DecoderSpec):
    """A decoder that needs a draft."""

    drafts: ClassVar[bool] = True

    def build(self) -> Any:
        raise NotImplementedError


REGISTRY = Registry.of(
    [
        *(("basics", component) for component in plugin.crt_components()),
        ("scaling", Component("scaling", spec=Scaling, summary="the study", examples=(Scaling(),))),
        ("toys", Component("patches", spec=Patches, summary="linear patches", examples=(Patches(),))),
        ("toys", Component("drafting", spec=Drafting, summary="drafts", examples=(Drafting(),))),
        ("toys", Component("chain", spec=Chain, summary="linear prediction", examples=(Chain(),))),
    ]
)
CONSTANT = {"learning_rate": 0.1, "decay": "constant"}
SMALL: dict[str, Any] = {
    "name": "small",
    "experiment": {"use": "scaling", "shorter": [5], "dimensions": 4, "discount": 0.25},
    "dataset": {"use": "digits", "test": 60},
    "tokenizer": {"use": "patches"},
    "bottleneck": {"use": "fsq", "levels": [3, 3]},
    "regularizer": [{"use": "chain", "weight": 0.5}],
    "prior": [{"use": "table", "order": 0}, {"use": "table", "order": 1}],
    "decoder": {"use": "ancestral"},
    "training": {
        "tokenizer": {"steps": 8, "batch": 16},
        "prior": {"steps": 10, "batch": 16, "checkpoint": 3, "optimizer": CONSTANT},
    },
}


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "RESAMPLES", 5)


def plan(**tables: Any) -> Plan:
    """The plan of the small study, with other tables."""
    (point,) = study(Document(SMALL | tables, {}), REGISTRY).points
    return point.plan


def prior(**fields: Any) -> dict[str, Any]:
    """The training tables, with other fields for the priors."""
    return {"training": {**SMALL["training"], "prior": SMALL["training"]["prior"] | fields}}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The small study's result, and the folder of runs."""
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numbers, "RESAMPLES", 5)
        return execute(plan(), runs), runs


def test_there_is_a_point_for_each_tokenizer_prior_and_length(small: tuple[dict[str, Any], Path]) -> None:
    result, _ = small

    labels = [point["labels"] for point in result["points"]]
    output = [(each["tokenizer"], each["parameters"], each["steps"]) for each in labels]

    sizes = [11 * 9, 11 * 10 * 9]  # ten classes and none, nine ids and a place before the first
    assert output == list(itertools.product(("baseline", "regularized"), sizes, (5, 10)))
    for point in result["points"]:
        labels = point["labels"]
        assert labels["flops"] == 6 * labels["parameters"] * 16 * 4 * labels["steps"]  # 16 samples of 4 ids
        assert {name: number["unit"] for name, number in point["numbers"].items()} == {
            "id_code_length_bits": "bits",
            "two_part_code_length_bits": "bits",
            "generation_frechet": "squared whitened units",
            "generation_kernel_distance": "kernel units",
            "best_two_part_code_length_bits": "bits",
            "best_generation_frechet": "squared whitened units",
        }


def test_the_best_is_that_of_all_that_cost_no_more(small: tuple[dict[str, Any], Path]) -> None:
    result, _ = small

    for point in result["points"]:
        means = [
            other["numbers"]["generation_frechet"]["value"]
            for other in result["points"]
            if other["labels"]["tokenizer"] == point["labels"]["tokenizer"]
            and other["labels"]["flops"] <= point["labels"]["flops"]
        ]
        assert point["numbers"]["best_generation_frechet"]["value"] == min(means)


def test_what_is_shared_is_always_reported_and_a_ratio_only_if_there_is_something(
    small: tuple[dict[str, Any], Path],
) -> None:
    output = small[0]["numbers"]

    for name in ("two_part_code_length", "generation_frechet"):
        share = output[f"{name}_shared_range"]["value"]
        assert (f"{name}_flops_ratio" in output) == (f"{name}_flops_doublings" in output) == (share > 0)
    assert not any(name.startswith("id_code_length") and "ratio" in name for name in output)


def test_the_figures_are_drawn_from_the_points(small: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    for index, figure in enumerate(plan().experiment.figures):
        assert grid(small[0]["points"], figure, tmp_path / f"{index}.png") is not None


def test_without_weight_and_discount_the_arms_are_one_bit_for_bit(tmp_path: Path) -> None:
    same = plan(
        experiment=SMALL["experiment"] | {"discount": 0.0}, regularizer=[{"use": "chain", "weight": 0.0}],
    )  # fmt: skip

    result = execute(same, tmp_path)

    arms = [
        [point for point in result["points"] if point["labels"]["tokenizer"] == arm]
        for arm in ("baseline", "regularized")
    ]
    for one, other in zip(*arms, strict=True):
        assert one["labels"] | {"tokenizer": ""} == other["labels"] | {"tokenizer": ""}
        assert one["numbers"] == other["numbers"]
    for name in ("two_part_code_length", "generation_frechet"):
        assert math.isclose(result["numbers"][f"{name}_flops_ratio"]["value"], 1.0)


def test_the_regularised_tokenizer_is_trained_for_fewer_steps(small: tuple[dict[str, Any], Path]) -> None:
    _, runs = small

    steps = {path.parts[-3]: checkpoint.load(path).state["step"] for path in runs.glob("stages/*-tokenizer/*/final")}

    assert steps == {"baseline-tokenizer": 8, "regularized-tokenizer": 6}


def test_each_length_of_a_prior_is_a_cool_down_off_one_training(small: tuple[dict[str, Any], Path]) -> None:
    _, runs = small

    stages = {path.name for path in (runs / "stages").glob("baseline-prior-1-*")}

    assert stages == {
        f"baseline-prior-1-{name}" for name in ("to-4", "cooled-5", "drawn-5", "to-8", "cooled-10", "drawn-10")
    }


def test_another_length_trains_nothing_again(small: tuple[dict[str, Any], Path]) -> None:
    _, runs = small
    before = {path: path.stat().st_mtime_ns for path in runs.glob("stages/*/*/final/COMMITTED")}

    execute(plan(experiment=SMALL["experiment"] | {"shorter": [5, 8]}), runs)

    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    assert {path.parts[-4] for path in runs.glob("stages/*/*/final/COMMITTED")} >= {"baseline-prior-0-cooled-8"}


@pytest.mark.parametrize("asked", [3, 15, 44])
def test_a_study_that_was_stopped_ends_the_same(small: tuple[dict[str, Any], Path], tmp_path: Path, asked: int) -> None:
    left = iter(range(asked))

    with pytest.raises(Stopped):
        execute(plan(), tmp_path, stopping=lambda: next(left, None) is None)
    result = execute(plan(), tmp_path)

    assert json.dumps(result) == json.dumps(small[0])


def test_the_steps_to_wait_for_are_those_that_are_taken(small: tuple[dict[str, Any], Path], tmp_path: Path) -> None:
    taken: dict[str, tuple[int, int]] = {}

    def report(event: Any) -> None:
        if event["event"] == "reading":
            taken[event["stage"]] = (event.get("start", 0), event["step"])

    execute(plan(), tmp_path, report)

    assert sum(end - start for start, end in taken.values()) == sum(stage.steps for stage in plan().stages)


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        ({"dataset": {"use": "python-source"}}, "dataset.use: expected a dataset of images, got one of 'ids' data"),
        (
            {"prior": [{"use": "table"}, {"use": "saved", "run": "small"}]},
            "prior.1.use: expected a prior that is trained here, got a pretrained one",
        ),
        ({"decoder": {"use": "drafting"}}, "decoder.use: expected a decoder that needs no draft, such as 'ancestral'"),
        ({"regularizer": []}, "regularizer: expected at least one"),
        (
            prior(optimizer={"decay": "cosine"}),
            "training.prior.optimizer.decay: expected 'constant', as the cool-downs",
        ),
        (
            {"experiment": SMALL["experiment"] | {"shorter": [5, 10]}},
            r"experiment.shorter: expected less than training.prior.steps \(10\), got \(5, 10\)",
        ),
        (
            {"experiment": SMALL["experiment"] | {"shorter": [5, 5]}},
            r"experiment.shorter: expected rising numbers of steps, at least 2 each, got \(5, 5\)",
        ),
        (
            prior(optimizer=CONSTANT | {"warmup": 0.5}),
            r"optimizer.warmup: expected the warm-up to end by the first cool-down \(step 4\), got one of 5.0 steps",
        ),
    ],
)
def test_what_does_not_fit_is_named(tables: dict[str, Any], reason: str) -> None:
    with pytest.raises(SpecError, match=reason):
        plan(**tables)


def test_resamples_are_drawn_evenly() -> None:
    """40,000 draws of ten: each within 3,600 to 4,400, six standard errors and more."""
    noise = numbers.Noise(0, "x")

    drawn = torch.cat([numbers._draw(noise, 10, index) for index in range(4000)])

    counts = torch.bincount(drawn, minlength=10)
    assert len(counts) == 10
    assert 3600 < int(counts.min()) <= int(counts.max()) < 4400
