"""What a plan costs: counted without contents, and the same as where there are some."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import attrs
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from crt_basics.datasets.specs import Digits
from crt_cli.commands import main
from crt_cost.blank import blank
from crt_cost.devices import DEVICES, UTILISATION
from crt_cost.outline import outlined
from crt_cost.stages import StageCost, costs
from crt_cost.trace import Trace, traced
from crt_laws.toys import Chain, LinearChain, Patches
from crtcore import Noise, discover
from crtcore.compose.document import Document
from crtcore.compose.plan import load, study
from crtcore.errors import RunError
from crtcore.hooks import Component
from crtcore.kinds import PriorSpec, RegularizerSpec, Tokenizer
from crtcore.registry import Registry

SPECS = Path(__file__).parents[1] / "specs"
SMOKE = str(SPECS / "smoke.toml")


def trace(build: Callable[[], nn.Module], *shape: int, precision: str = "float32") -> Trace:
    """A step of a module on a blank batch, whose loss is the sum of what comes out."""
    with blank():
        module = build()
        return traced(lambda: module(torch.empty(shape)).sum(), module.parameters(), precision=precision)


def test_a_linear_map_takes_two_operations_a_weight_and_row_each_way() -> None:
    """Forward, and for the gradient of the weights: the input needs none."""
    assert trace(lambda: nn.Linear(3, 5, bias=False), 7, 3).flops == 2 * (2 * 7 * 3 * 5)


def test_what_is_kept_is_the_input_and_no_weight() -> None:
    assert trace(lambda: nn.Linear(3, 5, bias=False), 7, 3).kept == 4 * 7 * 3


def test_half_precision_keeps_half() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Linear(64, 64, bias=False), nn.Linear(64, 64, bias=False))

    whole, half = (trace(build, 512, 64, precision=precision) for precision in ("float32", "bfloat16"))

    assert half.flops == whole.flops
    assert half.kept < 0.6 * whole.kept


def test_attention_counts() -> None:
    class Attention(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            return functional.scaled_dot_product_attention(inputs, inputs, inputs, is_causal=True)

    assert trace(Attention, 2, 3, 16, 8).flops == 2 * (2 * 2 * 3 * 16 * 16 * 8)


def test_nothing_without_contents_takes_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    trace(lambda: nn.Linear(2**15, 2**15), 2**15, 2**15)  # 4 GiB each of weights, input and output

    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 2**30


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda: float(torch.ones(())), 0.0),
        (lambda: torch.ones((), dtype=torch.int64).item(), 0),
        (lambda: bool(torch.ones(3).any()), False),
        (lambda: torch.arange(6).view(2, 3)[torch.ones(2, 3, dtype=torch.bool)].shape, (6,)),
        (lambda: torch.ones(2, 3)[torch.zeros(2, dtype=torch.bool)].shape, (2, 3)),
        (lambda: torch.ones(2, 3).nonzero().shape, (6, 2)),
        (lambda: torch.unique(torch.ones(2, 3), return_counts=True)[1].shape, (6,)),
        (lambda: torch.polar(torch.ones(2), torch.ones(2)).dtype, torch.complex64),
    ],
    ids=["a number", "an integer", "a truth", "a mask", "a mask of rows", "places", "values", "complex numbers"],
)
def test_what_is_asked_of_blank_tensors_is_answered(ask: Callable[[], object], answer: object) -> None:
    with blank():
        result = ask()

    assert result == answer
    assert type(result) is type(answer) or isinstance(result, tuple)


def smoke(*overrides: str) -> list[StageCost]:
    (point,) = load(Path(SMOKE), discover(), overrides).points
    return costs(point.plan, outlined(point.plan.parts["dataset"]))


def test_every_stage_of_a_plan_is_counted() -> None:
    tokenizer, prior, draft = smoke()

    assert [cost.stage for cost in (tokenizer, prior, draft)] == ["tokenizer", "prior", "draft"]
    assert [cost.obstacle for cost in (tokenizer, prior, draft)] == [None] * 3
    assert list(tokenizer.parameters) == ["tokenizer", "regularizer.0"]
    assert (tokenizer.ids, tokenizer.ids_in_training) == (16, 16 * 32 * 60)


def test_parameters_and_operations_are_those_of_the_parts_with_contents() -> None:
    (point,) = load(Path(SMOKE), discover()).points
    prior: Any = point.plan.parts["prior"].build(16, 16, 10)
    ids, class_ids = torch.zeros(32, 16, dtype=torch.int64), torch.zeros(32, dtype=torch.int64)

    cost = smoke()[1]

    with FlopCounterMode(display=False) as counter:
        functional.cross_entropy(prior(ids, class_ids)[:, :-1].mT, ids, reduction="sum").backward()
    parameters = sum(weight.numel() for weight in prior.parameters())
    assert cost.parameters == {"prior": parameters}
    attention = 2 * 2 * 32 * 17 * 17 * 16 * 3.5  # which torch does not count on a CPU; back, it is two and a half times
    assert cost.flops == 40 * (counter.get_total_flops() + attention)
    assert cost.memory[:3] == (4 * parameters, 4 * parameters, 8 * parameters)


def test_more_steps_and_a_larger_batch_cost_in_proportion() -> None:
    one, other = smoke()[1], smoke("training.prior.steps=80", "training.prior.batch=64")[1]

    assert other.flops == 4 * one.flops
    assert other.ids_in_training == 4 * one.ids_in_training


def test_a_prior_of_three_billion_is_counted_in_little_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    cost = smoke("prior={use = 'llamagen', size = '3.1B'}", "training.prior.batch=256", "bottleneck.codes=16384")[1]

    (parameters,) = cost.parameters.values()
    assert cost.memory.weights >= cost.memory.gradients == 4 * parameters > 12e9
    assert 0.95 < cost.flops / (6 * parameters * cost.ids_in_training) < 1.1
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 2**30


@attrs.frozen(kw_only=True)
class Peeking(PriorSpec):
    """A prior that no shape alone can take through a step."""

    def build(self, vocabulary: int, length: int, classes: int | None) -> Any:
        return PeekingPrior(vocabulary)


class PeekingPrior(nn.Module):
    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.logits = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, ids: Tensor, class_ids: Tensor | None = None, *, noise: Noise | None = None) -> Tensor:
        return self.logits[ids.numpy()]


@attrs.frozen(kw_only=True)
class Far(RegularizerSpec):
    """A regulariser whose weights lie elsewhere."""

    def build(self, tokenizer: Tokenizer) -> Any:
        raise RunError("far: expected weights, got none")


@attrs.frozen(kw_only=True)
class Holding(RegularizerSpec):
    """A regulariser that has the tokenizer as a part of itself."""

    def build(self, tokenizer: Tokenizer) -> Any:
        held = LinearChain(tokenizer.width)
        held.add_module("tokenizer", cast("nn.Module", tokenizer))
        return held


REGISTRY = Registry.of(
    [
        *discover(),
        ("toys", Component("patches", spec=Patches, summary="", examples=(Patches(),))),
        ("toys", Component("chain", spec=Chain, summary="", examples=(Chain(),))),
        ("here", Component("peeking", spec=Peeking, summary="", examples=(Peeking(),))),
        ("here", Component("far", spec=Far, summary="", examples=(Far(),))),
        ("here", Component("holding", spec=Holding, summary="", examples=(Holding(),))),
    ]
)
TOY: dict[str, Any] = {
    "name": "toy",
    "experiment": {"use": "two-stage"},
    "dataset": {"use": "digits"},
    "tokenizer": {"use": "patches"},
    "bottleneck": {"use": "fsq", "levels": [3, 3]},
    "prior": {"use": "table", "order": 1},
    "decoder": {"use": "ancestral"},
    "training": {"tokenizer": {"steps": 9, "batch": 16}, "prior": {"steps": 7, "batch": 16}},
}


def toy(**tables: Any) -> list[StageCost]:
    (point,) = study(Document(TOY | tables, {}), REGISTRY).points
    return costs(point.plan, outlined(point.plan.parts["dataset"]))


def test_a_step_that_needs_contents_is_reported_and_taken_as_six_a_parameter_and_id() -> None:
    cost = toy(prior={"use": "peeking"})[1]

    assert cost.obstacle
    assert cost.memory.activations is None
    assert cost.flops == 6 * 9 * (7 * 16 * 4)


def test_a_regulariser_of_its_own_parameters_counts_beside_the_tokenizer() -> None:
    cost = toy(regularizer=[{"use": "chain"}])[0]

    assert cost.parameters == {"tokenizer": 2 * (16 * 2) + 2 + 16, "regularizer.0": 4}


def test_what_a_regulariser_shares_with_the_tokenizer_counts_once() -> None:
    assert toy(regularizer=[{"use": "holding"}])[0].parameters == toy(regularizer=[{"use": "chain"}])[0].parameters


def test_a_regulariser_that_cannot_be_built_is_left_out_and_reported() -> None:
    cost = toy(regularizer=[{"use": "far"}, {"use": "chain"}])[0]

    assert cost.left_out == ("regularizer.0: far: expected weights, got none",)
    assert list(cost.parameters) == ["tokenizer", "regularizer.1"]


def test_images_of_a_folder_that_is_not_there_are_counted_by_their_size() -> None:
    dataset = {"use": "image-folder", "folder": "gone", "size": 32}
    (point,) = study(Document(TOY | {"dataset": dataset}, {}), REGISTRY).points

    data = outlined(point.plan.parts["dataset"])

    assert (data.shape, data.classes) == ((3, 32, 32), None)
    assert data.unknown
    assert "as if there were no classes (image-folder: expected a folder" in data.unknown
    assert costs(point.plan, data)[0].ids == 64


def test_time_is_operations_by_the_peak_rate_at_the_stated_share() -> None:
    a100 = DEVICES["a100"]

    assert a100.seconds(312e12 * UTILISATION * 60, "bfloat16") == pytest.approx(60)
    assert a100.seconds(19.5e12 * UTILISATION * 60, "float32") == pytest.approx(60)


def answered(*words: str) -> Any:
    result = CliRunner().invoke(main, ["check", *words, "--cost", "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_command_reports_every_stage_as_json() -> None:
    output = answered(SMOKE, "--device", "h100")

    (point,) = output["points"]
    assert [stage["stage"] for stage in point["cost"]] == ["tokenizer", "prior", "draft"]
    prior = point["cost"][1]
    assert prior["seconds"] == pytest.approx(prior["flops"] / (67e12 * UTILISATION))
    assert (prior["ids_per_sample"], prior["not_traced"]) == (16, None)
    assert prior["memory"].keys() == {"weights", "gradients", "optimizer", "activations"}


def test_the_command_reports_a_table_and_what_it_leaves_out() -> None:
    result = CliRunner().invoke(main, ["check", SMOKE, "--cost", "--device", "a100"])

    assert result.exit_code == 0, result.output
    assert "ok; 1 run, 120 training steps" in result.stdout
    assert "on one a100, assuming 40% of its peak, 19.5 (float32) or 312 (bfloat16) TFLOP/s" in result.stdout
    assert "activations: an estimate" in result.stdout


def test_each_of_several_devices_is_a_rank_with_its_share_of_the_batch() -> None:
    output = answered(SMOKE, "--devices", "8xH100")

    prior = output["points"][0]["cost"][1]
    ranks, alone = prior["ranks"], answered(SMOKE, "--devices", "1xH100")["points"][0]["cost"][1]
    assert "ranks" not in alone
    assert prior == {**alone, "seconds": None, "ranks": ranks}
    assert (ranks["devices"], ranks["device"], ranks["batch"]) == (8, "h100", 4)
    ddp, fsdp2 = ranks["ddp"], ranks["fsdp2"]
    assert ddp["memory"]["weights"] == prior["memory"]["weights"] > fsdp2["memory"]["weights"]
    assert ddp["memory"]["activations"] < prior["memory"]["activations"] / 7
    assert ddp["bytes_sent_in_step"] == 2 * 7 / 8 * prior["memory"]["gradients"]
    assert ddp["seconds_sending_in_step"] == ddp["bytes_sent_in_step"] / 450e9
    sending, (least, most) = 40 * ddp["seconds_sending_in_step"], ddp["seconds"]
    assert most == pytest.approx(least + sending)
    assert alone["seconds"] / 8 <= least < alone["seconds"] / 7


def test_the_table_of_ranks_says_what_it_assumes() -> None:
    result = CliRunner().invoke(main, ["cost", SMOKE, "--devices", "3xa100"])

    assert result.exit_code == 0, result.output
    assert "each of 3 ranks, on one a100:" in result.stdout
    assert re.search(r"^prior +DDP .* to ", result.stdout, re.M)
    assert "at 300 GB/s of its data sheet" in result.stdout
    assert "note: prior: a batch of 32 does not divide by 3; counted for a rank with 11 samples" in result.stderr


def test_where_no_link_is_known_there_is_no_time() -> None:
    result = CliRunner().invoke(main, ["cost", SMOKE, "--devices", "2xcpu"])

    assert "whose speed is not known" in result.stdout
    assert re.search(r"^prior +FSDP2 .*\? +\?$", result.stdout, re.M)


def test_more_devices_than_samples_are_one_error() -> None:
    result = CliRunner().invoke(main, ["cost", SMOKE, "--devices", "64xh100"])

    assert result.exit_code == 1
    assert result.stderr == "training.tokenizer.batch: expected a sample for each of 64 devices, got 32\n"


def test_what_does_not_fit_a_rank_is_said() -> None:
    more = ["--set", "prior={use = 'llamagen', size = 'B'}", "--set", "training.prior.batch=16384"]

    result = CliRunner().invoke(main, ["cost", SMOKE, *more, "--devices", "2xrtx-4090"])

    assert "note: prior: a rank of FSDP2 needs " in result.stderr
    assert "but one rtx-4090 has 24 GB" in result.stderr


def test_what_does_not_fit_a_device_is_said() -> None:
    more = ["--set", "prior={use = 'llamagen', size = 'B'}", "--set", "training.prior.batch=8192"]

    result = CliRunner().invoke(main, ["check", SMOKE, *more, "--cost", "--device", "rtx-4090"])

    assert "note: prior: needs " in result.stderr
    assert "but one rtx-4090 has 24 GB" in result.stderr


def test_points_that_differ_in_their_seed_alone_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from crt_cost import table as command

    counted: list[int] = []

    def watched(plan: Any, data: Any) -> list[StageCost]:
        counted.append(plan.seed)
        return costs(plan, data)

    monkeypatch.setattr(command, "costs", watched)

    output = answered(SMOKE, "--set", "sweep={seed = [0, 1, 2], 'prior.layers' = [1, 2]}")

    assert counted == [0, 0]
    assert len(output["points"]) == 6
    assert len({json.dumps(point["cost"]) for point in output["points"]}) == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--devices", "a100"], "expected --cost beside --devices"),
        (["--rehearse", "--cost"], "expected one of --rehearse and --cost, got both"),
        (["--cost", "--devices", "9xabacus"], "got '9xabacus'; known: cpu, rtx-4090, a100, h100, h200"),
        (["--cost", "--devices", "0xa100"], "expected 1 to 100,000 devices, got '0xa100'"),
    ],
)
def test_a_device_is_a_known_one_and_comes_with_a_cost(words: list[str], expected: str) -> None:
    result = CliRunner().invoke(main, ["check", SMOKE, *words])

    assert result.exit_code == 2
    assert expected in result.stderr


def test_a_language_model_is_counted_without_its_tokens() -> None:
    """Of the published 98.3e9 ids, 152 million weights."""
    (point,) = load(SPECS / "paper" / "meta-tokens-152m.toml", discover()).points

    result = {cost.stage: cost for cost in costs(point.plan, outlined(point.plan.parts["dataset"]))}

    assert result["prior"].ids_in_training == 480 * 1024 * 200_000
    assert 151e6 < result["prior"].parameters["prior"] < 153e6
    assert result["bottleneck"].steps == 7 * result["bottleneck"].training.steps


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), SystemExit(0)])
def test_whatever_a_build_raises_is_one_error_that_names_the_component(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(self: object) -> None:
        raise error

    monkeypatch.setattr(Digits, "build", raising)

    result = CliRunner().invoke(main, ["cost", str(Path(__file__).parents[1] / "specs" / "smoke.toml")])

    (line,) = result.stderr.splitlines()
    assert result.exit_code == 1
    assert re.search(rf"dataset 'digits' of plugin 'basics' of crt-basics \S+: {type(error).__name__}: \w$", line)
