"""The drafting experiment with the parts of several packages: its points, what they mean, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from crt_basics.experiments.drafting import Parts, agreement, names
from crt_basics.priors.specs import Table
from crt_run.runs.execute import execute
from crt_run.runs.rehearse import rehearse_plan
from crtcore import discover
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import RunError, SpecError
from crtcore.kinds import Batch, Plan
from crtcore.settings import Sampling

HEAD = {"use": "causal-head"}
BIASED = {"use": "causal-head", "class_bias": True}
BIGRAM = {"use": "table", "order": 1, "spread": 0.0}
SD = {"use": "sd", "length": 2}
STAGE = {"steps": 3, "batch": 8}


def plan(**tables: Any) -> Plan:
    """A few steps of every stage, scored on 20 digits."""
    values = {
        "name": "toy",
        "experiment": {"use": "drafting", "samples": 20, "evaluations": 1},
        "dataset": {"use": "digits"},
        "tokenizer": {"use": "conv", "channels": 8},
        "bottleneck": {"use": "vq", "codes": 8},
        "regularizer": [{"use": "causal", "width": 8, "heads": 1, "layers": 1}],
        "prior": {"use": "transformer", "layers": 1, "width": 8, "heads": 1},
        "draft": [HEAD, BIASED, BIGRAM],
        "decoder": [SD, {"use": "ancestral"}],
        "metric": [{"use": "code-length"}],
        "training": dict.fromkeys(("tokenizer", "prior", "draft"), STAGE),
        **tables,
    }
    (point,) = study(Document({k: v for k, v in values.items() if v is not None}, {}), discover()).points
    return point.plan


def test_every_draft_meets_every_decoder_and_a_decoder_without_draft_is_one_point(tmp_path: Path) -> None:
    result = execute(plan(), tmp_path)

    points = {(each["labels"]["draft"], each["labels"]["decoder"]): each["numbers"] for each in result["points"]}
    drafts = ("causal-head", "causal-head class_bias=True", "table order=1 spread=0.0")
    assert set(points) == {*((draft, "sd length=2") for draft in drafts), ("none", "ancestral")}
    alone = points["none", "ancestral"]
    assert alone["target_calls_per_id"]["value"] == 1
    assert alone["draft_calls_per_id"]["value"] == 0
    assert "draft_acceptance" not in alone
    for draft in drafts:
        numbers = points[draft, "sd length=2"]
        assert 6 / 16 <= numbers["target_calls_per_id"]["value"] < 1  # the first id, then 3 a call at most
        assert 0 < numbers["draft_acceptance"]["value"] < 1
        assert numbers["draft_acceptance"]["n"] == 20 * 15
    assert {"id_code_length_bits", "data_given_ids_bits", "reconstruction_mse"} <= result["numbers"].keys()
    assert sorted(path.name for path in (tmp_path / "stages").iterdir()) == ["draft.2", "prior", "tokenizer"]


class Coins:
    """A tokenizer of its data, and a dataset of three samples of two ids."""

    classes = None

    def take(self, split: str, rows: torch.Tensor) -> Batch:
        return Batch(torch.tensor([[0, 0], [0, 1], [1, -1]])[rows], None, None)

    def encode(self, data: torch.Tensor, class_ids: torch.Tensor | None) -> torch.Tensor:
        return data


def coin(heads_after_0: float) -> Any:
    """A prior of two ids: heads is likely 0.5 first and after id 1, and as said after id 0."""
    prior: Any = Table(order=1).build(2, 2, None)
    rows = torch.tensor([[heads_after_0, 1 - heads_after_0], [0.5, 0.5], [0.5, 0.5]]).double()
    prior.logits.data.copy_(rows.log()[None])
    return prior.requires_grad_(False)


@pytest.mark.parametrize(("draft", "common"), [(0.9, 1.0), (0.6, 0.7), (0.5, 0.6)])
def test_the_acceptance_is_the_mass_in_common_after_ids_that_are_there(draft: float, common: float) -> None:
    coins: Any = Coins()
    parts = Parts(coins, coins, coin(0.9), {}, torch.device("cpu"))

    measured = agreement(parts, coin(draft), torch.arange(3), sampling=Sampling())

    assert measured.n == 2  # the second ids of two samples
    assert measured.value == pytest.approx(common)


def test_two_stage_takes_the_head_as_its_draft(tmp_path: Path) -> None:
    two = plan(experiment={"use": "two-stage", "samples": 20, "evaluations": 1}, draft=HEAD, decoder=SD,
               training=dict.fromkeys(("tokenizer", "prior"), STAGE))  # fmt: skip

    result = execute(two, tmp_path)

    assert result["numbers"]["target_calls_per_id"]["value"] < 1


def test_a_run_without_the_regulariser_is_refused_before_it_trains() -> None:
    with pytest.raises(RunError, match="expected one regulariser 'causal', whose head it is, got 0"):
        rehearse_plan(plan(regularizer=None))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"draft": []}, r"draft: expected one or more tables \[\[draft\]\], got none"),
        ({"decoder": []}, r"decoder: expected one or more tables \[\[decoder\]\], got none"),
        ({"draft": [HEAD, HEAD]}, "draft: expected drafts that differ, got one twice: causal-head"),
        ({"decoder": [SD, SD]}, "decoder: expected decoders that differ, got one twice: sd length=2"),
        ({"dataset": {"use": "python-source"}}, "tokenizer.use: expected a tokenizer of 'ids' data"),
    ],
)
def test_parts_that_do_not_fit_are_refused(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        plan(**tables)


def test_a_name_has_the_settings_that_are_not_defaults() -> None:
    tables = [{"use": "table", "order": 2, "spread": 0.5}, {"use": "table", "order": 0, "spread": 1.0}]

    assert names(tables, [Table(order=2, spread=0.5), Table(order=0)]) == ["table spread=0.5", "table order=0"]
