"""Latent reasoning of a pretrained model: both arms of its spec, with random weights in place of the model's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crt_ar import Llama
from crt_ar.llama.files import write_llama
from crt_latent.in_words.spec import InWords
from crt_nn.text import of_words
from crt_run.runs.execute import execute
from crtcore import discover
from crtcore.compose.plan import load
from crtcore.kinds import Plan

ROOT = Path(__file__).parent.parent
WORDS = ["[UNK]", "<s>", "</s>", *map(str, range(10)), "+", "=", "→", ";"]
SMALL = (
    "experiment.tested=10", "experiment.ceilings=[0, 7, 14]", "tokenizer.chunk=7", "tokenizer.rate=7",
    "dataset.dataset.train=60", "dataset.dataset.validation=10", "dataset.dataset.test=10",
    "training.tokenizer.steps=3", "training.prior.steps=3", "prior.trained=1",
)  # fmt: skip


def plans(name: str, *overrides: str) -> dict[str, Plan]:
    """Each arm's plan of the first seed."""
    points = load(ROOT / "specs" / "figures" / f"{name}.toml", discover(), overrides).points
    return {point.arm: point.plan for point in reversed(points)}


def model(folder: Path) -> None:
    """A small model with random weights, and a tokenizer that splits words."""
    shape = Llama(layers=2, width=16, heads=2, key_heads=2, hidden=24, start=WORDS.index("<s>"))
    write_llama(folder, shape.build(len(WORDS), 0, None))
    (folder / "tokenizer.json").write_text(json.dumps(of_words(WORDS)))


@pytest.mark.parametrize("arm", ["baseline", "latent-12"])
def test_an_arm_is_trained_and_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arm: str) -> None:
    model(tmp_path / "data" / "SmolLM2-135M-Instruct")
    monkeypatch.chdir(tmp_path)

    numbers = execute(plans("latent-cot-real", *SMALL)[arm], tmp_path / "runs")["numbers"]

    assert 0 <= numbers["accuracy"]["value"] <= 1
    assert numbers["accuracy"]["n"] == 10
    assert numbers["tokens"]["value"] > 0
    assert ("codes_used" in numbers) == (arm == "latent-12")


@pytest.mark.parametrize("name", ["latent-cot-real", "latent-cot-real-full"])
def test_arms_differ_by_form_alone(name: str) -> None:
    arms = plans(name)

    assert {"baseline", "latent-12"} <= set(arms)
    assert (
        len({plan.parts["dataset"] for plan in arms.values()})
        == len({plan.parts["prior"] for plan in arms.values()})
        == 1
    )
    assert all(isinstance(plan.parts["dataset"], InWords) for plan in arms.values())
    assert len({plan.training["prior"] for plan in arms.values()}) == 1
