"""The compression experiment: what it measures of held-out data, for ids and for continuous codes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
import torch
from torch import Tensor

from crt_basics.plugin import crt_components
from crt_laws.toys import Patches
from crt_run.runs import checkpoint
from crt_run.runs.execute import execute
from crt_run.runs.rehearse import rehearse_plan
from crt_run.runs.run import address
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.errors import RunError, SpecError
from crtcore.hooks import Component
from crtcore.kinds import BottleneckOutput, BottleneckSpec, Plan, TokenizerSpec
from crtcore.noise import Noise
from crtcore.registry import Registry


@attrs.frozen(kw_only=True)
class Loud(BottleneckSpec):
    """Continuous codes, of three features, that cost their mean square."""

    def build(self) -> Any:
        return LoudCodes()


class LoudCodes(torch.nn.Module):
    width, vocabulary = 3, None

    def forward(self, features: Tensor, *, noise: Noise | None = None) -> BottleneckOutput:
        rate = features.square().flatten(1).mean(1)
        return BottleneckOutput(features, features, None, rate, features.new_zeros(()))


@attrs.frozen(kw_only=True)
class Words(TokenizerSpec):
    """A tokenizer of ids, which are no images."""

    form: ClassVar[str] = "ids"

    def build(self, bottleneck: Any, sample: Tensor) -> Any:
        raise AssertionError


REGISTRY = Registry.of(
    ("here", component)
    for component in (
        *crt_components(),
        Component("patches", spec=Patches, summary="", examples=(Patches(),)),
        Component("loud", spec=Loud, summary="", examples=(Loud(),)),
        Component("words", spec=Words, summary="", examples=(Words(),)),
    )
)
FSQ = {"use": "fsq", "levels": [5, 4]}


def plan(bottleneck: dict[str, Any], **tables: Any) -> Plan:
    """A few steps of the linear tokenizer on 300 digits, scored on 300 others."""
    values = {
        "name": "toy",
        "experiment": {"use": "compression"},
        "dataset": {"use": "digits", "validation": 1197, "test": 300},
        "tokenizer": {"use": "patches", "side": 4},
        "bottleneck": bottleneck,
        "training": {"tokenizer": {"steps": 3, "batch": 8}},
        **tables,
    }
    (point,) = study(Document(values, {}), REGISTRY).points
    return point.plan


def numbers(of: Plan, runs: Path) -> dict[str, Any]:
    result: dict[str, Any] = execute(of, runs)["numbers"]
    return result


def test_the_rate_of_ids_is_that_of_their_vocabulary(tmp_path: Path) -> None:
    rate = numbers(plan(FSQ), tmp_path)["rate_nats"]

    assert rate["value"] == pytest.approx(4 * math.log(20), rel=1e-6)  # four patches
    assert rate["unit"] == "nats"
    assert rate["n"] == 300


def test_continuous_codes_have_a_rate_with_an_interval_on_the_same_axis(tmp_path: Path) -> None:
    rate = numbers(plan({"use": "loud"}), tmp_path)["rate_nats"]

    assert 0 < rate["low"] < rate["value"] < rate["high"]


def test_distortion_and_error_are_those_of_held_out_data(tmp_path: Path) -> None:
    made = plan(FSQ)

    result = numbers(made, tmp_path)

    tokenizer = made.parts["tokenizer"].build(made.parts["bottleneck"].build(), torch.zeros(2, 1, 8, 8))
    (stage,) = (tmp_path / "stages" / "tokenizer").glob("*/final")
    weights = checkpoint.load(stage).tensors
    tokenizer.load_state_dict({name.removeprefix("part.tokenizer."): value for name, value in weights.items()})
    images = made.parts["dataset"].build().take("test", torch.arange(300)).data
    image = tokenizer(images).reconstruction.detach()
    error = (image - images).square().flatten(1).mean(1)
    shown = 64 * (image.clamp(-1, 1) - images).square().mean()  # 17 levels from -1 to 1: eight to a unit
    assert result["distortion"]["value"] == pytest.approx(float(error.mean()), rel=1e-5)
    assert result["distortion"]["high"] - result["distortion"]["value"] == pytest.approx(
        1.968 * float(error.std()) / 300**0.5, rel=1e-3
    )
    assert result["reconstruction_mse"]["value"] == pytest.approx(float(shown), rel=1e-5)
    assert result["reconstruction_mse"]["unit"] == "squared levels"


def test_samples_are_kept_for_the_report(tmp_path: Path) -> None:
    made = plan({"use": "loud"})

    execute(made, tmp_path)

    kept = checkpoint.load(address(made, tmp_path) / "samples").tensors
    assert {name: images.shape for name, images in kept.items()} == {
        "real": (40, 1, 8, 8),
        "reconstructed": (40, 1, 8, 8),
    }


def test_a_tokenizer_of_other_data_is_refused() -> None:
    with pytest.raises(SpecError, match="expected a tokenizer of 'image' data, got one of 'ids'"):
        plan(FSQ, tokenizer={"use": "words"})


def test_continuous_codes_are_refused_where_there_is_a_stage_2_by_its_rehearsal() -> None:
    """Those of a package whose spec does not say that they are continuous."""
    made = plan(
        {"use": "loud"},
        experiment={"use": "two-stage"}, prior={"use": "table"}, decoder={"use": "ancestral"},
        training={"tokenizer": {"steps": 3}, "prior": {"steps": 3}},
    )  # fmt: skip

    with pytest.raises(
        RunError, match=r"bottleneck: expected a discrete bottleneck \(the prior models its ids\), got a continuous one"
    ):
        rehearse_plan(made)
