"""What a study that generates costs: rows, ids and FLOPs of one pass over each row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from click.testing import CliRunner
from torch.utils.flop_counter import FlopCounterMode

from crt_cost.command import cost
from crt_cost.generation import generated
from crt_data.specs import Prompts
from crt_run.generations import Generates
from crtcore import discover
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.compose.study import Study

SPEC: dict[str, Any] = {
    "name": "small",
    "experiment": {"use": "decoding", "prompts": 4, "timed": 2, "choices": 1, "prompt": 10, "length": 6},
    "dataset": {"use": "python-source", "length": 32},
    "prior": {"use": "transformer", "layers": 1, "width": 16, "heads": 2},
    "draft": {"use": "table", "order": 0},
    "decoder": [{"use": "sd", "length": 2}, {"use": "rsd-s", "width": 2, "length": 2}],
    "training": {"prior": {"steps": 1, "batch": 2}, "draft": {"steps": 1, "batch": 2}},
}
ROWS = (4 + 2) * 3 + 1 * 2
"""Ancestral decoding and two decoders of four prompts and, one at a time, of two; two choices of a structure."""


def made(**tables: Any) -> Study:
    return study(Document(SPEC | tables, {}), discover())


def test_rows_are_those_of_all_decoders() -> None:
    ((row,),) = generated(made(), None)

    assert (row["role"], row["rows"], row["ids"]) == ("prior", ROWS, ROWS * 6)
    assert isinstance(made().points[0].plan.experiment, Generates)


def test_operations_are_those_of_passes_with_contents() -> None:
    plan = made().points[0].plan
    prior = plan.parts["prior"].build(256, 16, None)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        prior(torch.zeros(1, 16, dtype=torch.int64))

    ((row,),) = generated(made(), None)

    attention = 2 * 2 * 17**2 * 16  # of the first position and 16 ids: torch does not count its kernel for a CPU
    assert row["flops"] == ROWS * (counter.get_total_flops() + attention)
    assert row["parameters"] == sum(weight.numel() for weight in prior.parameters())


def test_half_precision_halves_the_weights_alone() -> None:
    half = made(experiment=SPEC["experiment"] | {"precision": "bfloat16"})

    ((row,),), ((other,),) = generated(made(), None), generated(half, None)

    assert row["weights"] == 2 * other["weights"]
    assert row["flops"] == other["flops"]


def test_an_experiment_that_says_nothing_generates_nothing() -> None:
    digits = {"dataset": {"use": "digits"}, "tokenizer": {"use": "conv", "channels": 4}, "bottleneck": {"use": "fsq"}}
    spec = {"name": "x", "experiment": {"use": "compression"}, **digits, "training": {"tokenizer": {"steps": 1}}}

    assert generated(study(Document(spec, {}), discover()), None) == [[]]


def test_prompts_of_a_file_have_their_own_length(tmp_path: Path) -> None:
    data = Prompts(file="prompts.jsonl", tokenizer="model").example_in(tmp_path)
    small = made(dataset={"use": "prompts", "file": data.file, "tokenizer": data.tokenizer})
    prior = small.points[0].plan.parts["prior"].build(data.build().vocabulary, 10, None)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        prior(torch.zeros(1, 4 + 6, dtype=torch.int64))  # "What is after 7", and what `length` says, of 10 in `prompt`

    ((row,),) = generated(small, None)

    attention = 2 * 2 * 11**2 * 16  # of the first position and 10 ids: torch does not count its kernel for a CPU
    assert row["flops"] == ROWS * (counter.get_total_flops() + attention)


def test_the_command_prints_and_answers(tmp_path: Path) -> None:
    import tomli_w

    path = tmp_path / "small.toml"
    path.write_text(tomli_w.dumps(SPEC))

    shown = CliRunner().invoke(cost, [str(path), "--devices", "h100"])
    answered = CliRunner().invoke(cost, [str(path), "--json"])

    assert shown.exit_code == answered.exit_code == 0, shown.output + answered.output
    assert "FLOPs of generation: each id of a row passes the prior once" in shown.stdout
    assert "time of generation: by FLOPs alone" in shown.stdout
    (point,) = json.loads(answered.stdout)["points"]
    assert point["generation"][0]["rows"] == ROWS
    assert [stage["stage"] for stage in point["cost"]] == ["prior", "draft"]
