"""The published recipe of latent reasoning on mathematics: its numbers, and that every stage of it starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from crt_ar import Llama
from crt_ar.llama.files import write_llama
from crt_cost.blank import blank
from crt_nn.text import of_words
from crt_run.runs.execute import execute
from crtcore import discover
from crtcore.compose.plan import load
from crtcore.kinds import Plan

SPEC = Path(__file__).parent.parent / "specs" / "paper" / "latent-cot-llama.toml"
WORDS = ["[UNK]", "What", "is", "plus", "and", "make", *map(str, range(40)), "[BOS]"]
SMALL = (
    "dataset.length=64", "experiment.tested=3", "experiment.ceilings=[0, 16]",
    "bottleneck.codes=8", "bottleneck.width=4", "tokenizer.layers=1", "tokenizer.width=16", "tokenizer.heads=2",
    "training.tokenizer.steps=2", "training.tokenizer.batch=2", "training.prior.steps=2", "training.prior.batch=2",
)  # fmt: skip


def plans(*overrides: str) -> dict[str, Plan]:
    """Each arm's plan."""
    return {str(point.arm): point.plan for point in load(SPEC, discover(), overrides).points}


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small Llama and its tokenizer, and a file of sums, each worked out in 40 words."""
    folder = tmp_path_factory.mktemp("data")
    start = WORDS.index("[BOS]")
    llama = Llama(size="Llama-3.2-3B", layers=2, width=16, heads=4, key_heads=2, hidden=24, start=start)
    write_llama(folder / "llama", llama.build(len(WORDS), 0, None))
    (folder / "llama" / "tokenizer.json").write_text(json.dumps(of_words(WORDS)))
    entries = [
        {
            "query": f"What is {left} plus {right}",
            "response": f"{left} and {right} make {left + right} " * 8 + f"The answer is: {left + right}",
            "original_question": f"{left} + {right}",
        }
        for left in range(20)
        for right in range(5)
    ]
    (folder / "metamath.json").write_text(json.dumps(entries))
    return folder


def test_the_file_has_the_published_numbers() -> None:
    plan = plans()["latent"]

    tokenizer, bottleneck = plan.parts["tokenizer"], plan.parts["bottleneck"]
    assert (tokenizer.chunk, tokenizer.rate, bottleneck.codes) == (16, 16, 1024)
    assert plan.identity["experiment"]["ceilings"] == [0, 72, 128, 160, 192, 224, 256]
    training = plan.training["tokenizer"]
    assert (training.steps, training.batch, training.optimizer.learning_rate) == (100_000, 32, 1e-5)
    assert plan.sampling.temperature == 0


def test_the_tokenizer_has_about_the_published_number_of_parameters() -> None:
    plan = plans()["latent"]

    with blank():
        tokenizer = plan.parts["tokenizer"].build(
            plan.parts["bottleneck"].build(), torch.zeros(1, 1024, dtype=torch.int64), 128_256 + 3
        )

    assert sum(weight.numel() for weight in tokenizer.parameters()) == pytest.approx(50e6, rel=0.05)


@pytest.mark.parametrize("arm", ["latent", "baseline"])
def test_two_steps_of_every_stage_run_at_a_reduced_size(tmp_path: Path, laid: Path, arm: str) -> None:
    where = (
        f"dataset.file={laid / 'metamath.json'}",
        f"dataset.tokenizer={laid / 'llama'}", f"prior.folder={laid / 'llama'}",
    )  # fmt: skip

    numbers = execute(plans(*SMALL, *where)[arm], tmp_path)["numbers"]

    assert 0 <= numbers["accuracy"]["value"] <= 1
