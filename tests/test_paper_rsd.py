"""The published comparison of decoders with Llama 2: its grid, and that every pair of model and data starts."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from crt_ar import Llama
from crt_ar.llama.files import write_llama
from crt_nn.text import of_words
from crt_run.runs.execute import execute
from crt_verify.decoding.entry import Entry
from crtcore import discover
from crtcore.compose.plan import load
from crtcore.kinds import Plan

SPEC = Path(__file__).parent.parent / "specs" / "paper" / "rsd-llama2.toml"
BUDGETS = (6, 10, 14, 21, 30)
WORDS = ["[UNK]", "[BOS]", "</s>", *map(str, range(40))]
SMALL = (
    "experiment.prompts=2", "experiment.timed=2", "experiment.choices=1", "experiment.length=6",
    "decoder=[{use='sd', length=3}, {use='rsd-s', width=2, length=2}]",
)  # fmt: skip


def plans(*overrides: str) -> dict[str, Plan]:
    """Each arm's plan."""
    return {str(point.arm): point.plan for point in load(SPEC, discover(), overrides).points}


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the recipe needs: small models with one tokenizer, and files in the published formats."""
    folder = tmp_path_factory.mktemp("laid")
    data = folder / "data"
    models = {"Llama-2-7b": 16, "Llama-2-13b-chat": 24, "Llama-2-115M": 8, "Llama-2-Chat-115M": 8}
    for name, width in models.items():
        llama = Llama(layers=1, width=width, heads=2, key_heads=2, hidden=24, start=WORDS.index("[BOS]"))
        write_llama(data / name, llama.build(len(WORDS), 0, None))
        (data / name / "tokenizer.json").write_text(json.dumps(of_words(WORDS)))
    lines = {
        "wmt18-de-en": [{"translation": {"de": f"{n} {n}", "en": f"{n} 1 2 3"}} for n in range(40)],
        "xsum": [{"document": f"{n} {n}", "summary": f"{n} 1 2 3"} for n in range(40)],
        "dolly": [{"instruction": f"{n} {n}", "response": f"{n} 1 2 3"} for n in range(40)],
    }
    for name, each in lines.items():
        (data / f"{name}.jsonl").write_text("\n".join(map(json.dumps, each)))
    return folder


def test_the_grid_is_the_published_one() -> None:
    plan = plans()["baseline"]

    tables = zip(plan.document["decoder"], plan.parts["decoder"], strict=True)
    entries = [Entry(table["use"], {}, spec) for table, spec in tables]

    counts = Counter((entry.name, entry.budget) for entry in entries)
    structures = {"sd": 1, "spectr": 2, "rsd-c": 3, "rsd-s": 2}
    assert counts == {(name, budget): count for name, count in structures.items() for budget in BUDGETS}


def test_there_is_an_arm_for_each_published_pair_of_model_and_data() -> None:
    arms = plans()

    covered = {
        (plan.document["prior"]["folder"], plan.document["dataset"]["file"], plan.sampling.temperature)
        for plan in arms.values()
    }
    data = {"wmt18-de-en": 0.3, "xsum": 0.3, "dolly": 1.0}
    assert len(arms) == 10
    assert covered == {
        (f"data/Llama-2-{model}", f"data/{name}.jsonl", temperature)
        for model in ("7b", "13b", "7b-chat", "13b-chat")
        for name, temperature in data.items()
        if name != "dolly" or model.endswith("chat")
    }


@pytest.mark.parametrize("arm", ["baseline", "7b-xsum", "13b-chat-dolly"])
def test_two_prompts_are_continued_with_random_weights(
    tmp_path: Path, laid: Path, monkeypatch: pytest.MonkeyPatch, arm: str
) -> None:
    monkeypatch.chdir(laid)

    result = execute(plans(*SMALL)[arm], tmp_path)

    assert [point["labels"]["decoder"] for point in result["points"]] == ["rsd-s", "sd"]
    for point in result["points"]:
        assert 1 <= point["numbers"]["block_efficiency"]["value"] <= 4
