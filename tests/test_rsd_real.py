"""The grid of decoders on a real pair: its spec, its prompts, its verdicts, and that every arm starts."""

from __future__ import annotations

import json
import math
import runpy
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from crt_ar import Llama
from crt_ar.llama.files import write_llama
from crt_hf.draft_ids import NAME
from crt_nn.text import of_words
from crt_run.runs.execute import execute
from crt_verify.decoding.entry import Entry
from crtcore import discover
from crtcore.compose.plan import load
from crtcore.kinds import Measurement, Plan

ROOT = Path(__file__).parent.parent
BUDGETS = (6, 10, 14, 21, 30)
WORDS = ["[UNK]", "<s>", "</s>", *map(str, range(40))]
SMALL = (
    "experiment.prompts=2", "experiment.timed=2", "experiment.length=6",
    "experiment.claim=[{decoder='rsd-s', over='sd', budget=6}]",
    "decoder=[{use='sd', length=6}, {use='rsd-s', width=3, length=2}, {use='lookup', nodes=6}]",
)  # fmt: skip


def plans(name: str, *overrides: str) -> dict[str, Plan]:
    """Each arm's plan."""
    study = load(ROOT / "specs" / "figures" / f"{name}.toml", discover(), overrides)
    return {point.arm: point.plan for point in study.points}


@pytest.mark.parametrize("name", ["rsd-real", "rsd-real-full"])
def test_every_decoder_is_there_at_every_budget(name: str) -> None:
    plan = plans(name)["instruct"]

    entries = [Entry.of(*each) for each in zip(plan.document["decoder"], plan.parts["decoder"], strict=True)]

    lines = {
        "sd", "block", "spectr", "rsd-c", "rsd-s", "traversal", "greedy-tree", "traversal-delayed", "lookup", "suffix",
    }  # fmt: skip
    names = {entry.name for entry in entries}
    assert names - {"multi-block"} == lines
    assert {(entry.name, entry.budget) for entry in entries} == {(name, each) for name in names for each in BUDGETS}
    if name == "rsd-real":
        assert max(Counter((entry.name, entry.budget) for entry in entries).values()) == 1


def test_the_full_grid_has_every_kind_at_both_temperatures() -> None:
    kinds = {(Path(plan.document["dataset"]["file"]).stem, plan.sampling.temperature)
             for plan in plans("rsd-real-full").values()}  # fmt: skip

    assert kinds == {(kind, heat) for kind in ("rewrite", "summarise", "instruct") for heat in (0.3, 1.0)}


@pytest.mark.parametrize("arm", ["instruct-warm"])
def test_two_prompts_are_continued_with_random_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arm: str
) -> None:
    data = tmp_path / "data"
    shape = Llama(layers=1, width=16, heads=2, key_heads=2, hidden=24, start=WORDS.index("<s>"))
    write_llama(data / "SmolLM2-135M-Instruct", shape.build(len(WORDS), 0, None))
    (data / "SmolLM2-135M-Instruct" / "tokenizer.json").write_text(json.dumps(of_words(WORDS)))
    write_llama(data / "SmolLM2-draft", shape.build(21, 0, None))
    (data / "SmolLM2-draft" / NAME).write_text(json.dumps({"vocabulary": len(WORDS), "ids": list(range(2, 22))}))
    (data / "passages").mkdir()
    lines = [{"document": f"d {n % 40}", "request": f"{n % 40} {n}", "reference": f"{n % 40} 1 2"} for n in range(80)]
    for kind in ("rewrite", "instruct"):
        (data / "passages" / f"{kind}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    monkeypatch.chdir(tmp_path)

    result = execute(plans("rsd-real", *SMALL)[arm], tmp_path / "runs")

    assert [point["labels"]["decoder"] for point in result["points"]] == ["lookup", "rsd-s", "sd"]
    assert result["numbers"]["gain_rsd-s_over_sd_at_6"]["value"] > 0
    assert "draft_nats_per_id" not in result["numbers"]  # it does not have all ids
    assert any(note.startswith("claims on ids a call") for note in result["notes"])


def bench(name: str) -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "bench" / name))


def test_gains_of_independent_kinds_are_pooled() -> None:
    """Three equal gains of 21 prompts: the error is smaller by the root of 3, and 60 degrees of freedom are left."""
    half = 0.1 * 2.085963  # Student's quantile of 95 % for 20 degrees of freedom
    gain = Measurement(1.2, "times", 21, 1.2 * math.exp(-half), 1.2 * math.exp(half))

    pooled = bench("rsd_real.py")["pooled"]([gain] * 3)

    assert pooled.value == pytest.approx(1.2)
    assert pooled.n == 61
    assert math.log(pooled.high / 1.2) == pytest.approx(0.1 / 3**0.5 * 2.0003, rel=1e-3)  # that for 60


def test_claims_at_all_temperatures_are_corrected_together() -> None:
    """The probability of t = 2.3 for 20 degrees of freedom is 0.032, and twice as much beside another claim."""
    half = 2.085963
    gain = {"value": math.exp(2.3), "unit": "x", "n": 21, "low": math.exp(2.3 - half), "high": math.exp(2.3 + half)}
    none = {"value": 1.0, "unit": "x", "n": 21, "low": 0.5, "high": 2.0}
    runs = [
        {"result": {"points": [{"labels": {"temperature": heat}}], "numbers": {"gain_a_over_b_at_6": each}}}
        for heat, each in ((0.3, gain), (1.0, none))
    ]
    module = bench("rsd_real.py")

    alone, beside = (list(module["verdicts"](module["claims"]({"runs": each}))) for each in (runs[:1], runs))

    assert alone[0].startswith("| 0.3 | a over b at 6 | 9.974 ")
    assert alone[0].endswith("| 0.032 | holds |")
    assert beside[0].endswith("| 0.065 | not shown |")


def test_no_document_and_no_text_serve_two_purposes() -> None:
    module = bench("prompts/passages.py")
    words = " ".join(f"word{n}" for n in range(20))
    passages = [
        module["Passage"](f"document {n}", f"`name{n}`", f"Text {n % 150} has so many words. {words} {words}.")
        for n in range(200)  # a quarter repeats what another document has
    ]

    made = module["lines"](passages)

    kinds = {kind: made[kind] for kind in ("rewrite", "summarise", "instruct")}
    documents = [line["document"] for each in kinds.values() for line in each]
    assert all(made.values())
    assert len(documents) == len(set(documents))
    asked = [line["request"] for each in kinds.values() for line in each] + [line["prompt"] for line in made["draft"]]
    texts = Counter(int(part.split("Text ")[1].split()[0]) for part in asked if "Text " in part)
    drafted = {int(each["prompt"].split("Text ")[1].split()[0]) for each in made["draft"] if "Text " in each["prompt"]}
    shown = {int(line["request"].split("Text ")[1].split()[0]) for line in kinds["rewrite"]}
    assert texts
    assert not drafted & shown
    assert all(line["reference"].startswith("Text ") for line in kinds["summarise"])
