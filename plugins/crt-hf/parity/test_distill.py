"""`crt distill`: a draft learns from its target's text, goes on after any kill, and drafts without changing an id."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from click.testing import CliRunner
from small_models import small
from test_text import tokenizer

import crt_hf
from crt_hf.distill_command import distill as command
from crt_hf.distilling import texts, training
from crt_hf.model import Model
from crtcore.errors import RunError

PROMPTS: list[list[int]] = [[1, x, y] for x in range(3, 11) for y in range(20, 23)]


class Ticks:
    """A clock by which each part of texts takes 15 seconds and each step 1; it can stop the work at an event."""

    def __init__(self, stop: tuple[str, str] = ("", "")) -> None:
        self.now, self.phase, self.stop = 0.0, "texts", stop

    def clock(self) -> float:
        self.now += 15 if self.phase == "texts" else 0
        return self.now

    def progress(self, phase: str, over: float, line: str) -> None:
        self.phase = phase
        self.now += phase == "training" and line.startswith("step")
        if self.stop[0] == phase and self.stop[1] in line:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("target")
    small("llama").save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


def made(target: Path, out: Path, ticks: Ticks | None = None, **options: Any) -> dict[str, Any]:
    """What a minute gives: two parts of short texts, and 30 small steps."""
    ticks = ticks or Ticks()
    settings = {"prompts": PROMPTS, "minutes": 1.0, "size": "tiny", **options}
    with mock.patch.object(texts, "NEW", 24), mock.patch.object(training, "WIDTH", 64):
        return crt_hf.distill(target, out, progress=ticks.progress, clock=ticks.clock, **settings)


@pytest.fixture(scope="module")
def whole(target: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A draft that was made at once."""
    out: Path = tmp_path_factory.mktemp("whole") / "draft"
    made(target, out)
    return out


def test_a_draft_accepts_more_than_an_untrained_one_and_says_on_what(target: Path, tmp_path: Path) -> None:
    ticks = Ticks()

    report = crt_hf.distill(
        target, tmp_path / "draft", PROMPTS, minutes=1.0, size="tiny", progress=ticks.progress, clock=ticks.clock
    )

    assert report == json.loads((tmp_path / "draft" / "report.json").read_text())

    assert report["acceptance"]["value"] > 0.02 + report["acceptance_untrained"]["value"]
    assert report["training"]["steps"] == 30
    assert report["held_out"]["prompts"] == "others"
    calls = list(report["ids_a_call"].values())
    assert calls[0] == pytest.approx(1 + report["acceptance"]["value"])
    assert calls == sorted(calls)


@pytest.mark.parametrize("family", ["gpt2", "gemma3"])
def test_any_family_is_a_target_without_prompts_and_without_a_tokenizer(family: str, tmp_path: Path) -> None:
    small(family).save_pretrained(tmp_path / "target")

    report = made(tmp_path / "target", tmp_path / "draft", prompts=None)

    assert report["ran"].startswith("target transformers")
    assert report["acceptance"]["value"] > report["acceptance_untrained"]["value"]
    assert report["held_out"]["prompts"] == "the same"
    ids = crt_hf.generate(tmp_path / "target", [[5, 6]], decoder="sd", draft=tmp_path / "draft", max_new_tokens=9)
    assert ids[0].ids == crt_hf.generate(tmp_path / "target", [[5, 6]], max_new_tokens=9)[0].ids


def test_it_drafts_for_its_target_and_changes_no_greedy_id(target: Path, whole: Path) -> None:
    prompts = ["HELLO", "WORLD", "ABCABC"]

    results = crt_hf.generate(target, prompts, decoder="sd", draft=whole, max_new_tokens=20)

    plain = crt_hf.generate(target, prompts, decoder="ancestral", max_new_tokens=20)
    assert [each.ids for each in results] == [each.ids for each in plain]
    assert sum(sum(each.accepted) for each in results) > 0
    assert "ids that it has of the target's 61" in results[0].ran


def test_it_proposes_the_ids_that_it_has_alone(target: Path, whole: Path) -> None:
    kept = json.loads((whole / "draft.json").read_text())["ids"]

    reader = Model(whole).drafting_for(Model(target))

    logits = reader.prior(torch.tensor([[1, 5, 9]]))[0, 3]
    assert (logits > -torch.inf).nonzero()[:, 0].tolist() == sorted(kept)


@pytest.mark.parametrize(
    "stop", [("texts", "of 0 parts"), ("texts", "of 1 parts"), ("training", "step 20"), ("scores", "")]
)
def test_what_is_stopped_goes_on_to_the_same_draft(
    stop: tuple[str, str], target: Path, whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        made(target, tmp_path / "draft", Ticks(stop))

    made(target, tmp_path / "draft")

    for name in ("model.safetensors", "draft.json", "report.json"):
        assert (tmp_path / "draft" / name).read_bytes() == (whole / name).read_bytes(), name


def test_a_head_learns_goes_on_where_it_was_stopped_and_changes_no_greedy_id(target: Path, tmp_path: Path) -> None:
    report = made(target, tmp_path / "whole", size="head")
    with pytest.raises(KeyboardInterrupt):
        made(target, tmp_path / "head", Ticks(("training", "step 20")), size="head")

    again = made(target, tmp_path / "head", size="head")

    assert again == report
    assert report["acceptance"]["value"] > report["acceptance_untrained"]["value"]
    assert report["draft"]["reads"] == [2, 1, 3] or report["draft"]["reads"] == [2, 2, 3]
    assert (tmp_path / "head" / "model.safetensors").read_bytes() == (
        tmp_path / "whole" / "model.safetensors"
    ).read_bytes()
    prompts = [PROMPTS[0], PROMPTS[5][:2]]
    plain = crt_hf.generate(target, prompts, decoder="ancestral", max_new_tokens=20)
    for decoder in ("sd", "likeliest-tree"):
        results = crt_hf.generate(target, prompts, decoder=decoder, draft=tmp_path / "head", max_new_tokens=20)
        assert [each.ids for each in results] == [each.ids for each in plain]
        assert sum(sum(each.accepted) for each in results) > 0


def test_a_head_for_a_target_that_crt_ar_does_not_read_is_one_error(tmp_path: Path) -> None:
    small("gpt2").save_pretrained(tmp_path / "target")

    with pytest.raises(RunError, match="expected a target that crt-ar reads, whose hidden states a head can have"):
        made(tmp_path / "target", tmp_path / "draft", size="head")


KILLED = """
import os, signal, sys
sys.path.append({here!r})
from pathlib import Path
from crt_run.runs import checkpoint, files
import test_distill
left = [{writes}]
write = files._write
def killed(path, content):
    left[0] -= 1
    if left[0]:
        return write(path, content)
    path.write_bytes(content[: len(content) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
checkpoint._write = files._write = killed
test_distill.made(Path({target!r}), Path({out!r}))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "writes", [1, 7, 11, 15, 20], ids=["the plan", "a part", "the first checkpoint", "a later one", "the draft's ids"]
)
def test_a_kill_in_the_middle_of_a_write_loses_nothing_that_was_there(
    writes: int, target: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "draft"
    code = KILLED.format(here=str(Path(__file__).parent), writes=writes, target=str(target), out=str(out))
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert ended.returncode == -9, ended.stderr[-2000:]
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file() and ".tmp-" not in str(path)}

    made(target, out)

    for name in ("model.safetensors", "draft.json", "report.json"):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name
    assert all(path.read_bytes() == content for path, content in before.items() if "part-" in str(path))
    assert not list(out.rglob(".tmp-*"))


def test_a_finished_draft_is_not_made_again_but_with_more_minutes_trained_further(target: Path, tmp_path: Path) -> None:
    first = made(target, tmp_path / "draft")

    assert made(target, tmp_path / "draft", Ticks(("texts", ""))) == first
    longer = made(target, tmp_path / "draft", minutes=1.5)

    assert longer["training"]["steps"] == 60  # 90 seconds less 30 for texts
    assert longer["texts"] == first["texts"]


def test_a_folder_of_another_command_is_one_error(target: Path, whole: Path, tmp_path: Path) -> None:
    for options, message in (
        ({"seed": 1}, "the same command, got one with another seed; name another folder"),
        ({"prompts": PROMPTS[1:], "size": "small"}, "with another prompts and size"),
        ({"minutes": 0.0}, "minutes: expected a number above 0, got 0"),
        ({"seed": -1}, "seed: expected an integer from 0"),
    ):
        with pytest.raises(RunError, match=message):
            made(target, whole, **options)
    (tmp_path / "other").write_text("")
    with pytest.raises(RunError, match=r"expected a new folder, .*other; name another"):
        made(target, tmp_path)


def test_a_draft_is_no_target_and_drafts_for_no_other_tokenizer(target: Path, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"expected a target, got a distilled draft, .*; name it as the draft"):
        crt_hf.generate(whole, [[1]], max_new_tokens=1)
    small("llama", vocab_size=60).save_pretrained(tmp_path)
    with pytest.raises(RunError, match="was distilled from a model with 61 ids, expected the same tokenizer, got"):
        crt_hf.generate(tmp_path, [[1]], decoder="sd", draft=whole, max_new_tokens=1)


def test_the_command_prints_acceptance_and_ids_a_call(target: Path, tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "HI"}\n{"messages": [{"role": "user", "content": "HO"}]}\n{"ids": [1, 4]}\n')
    words = (str(target), "--out", str(tmp_path / "draft"), "--prompts", str(file), "--minutes", "0.02")

    result = CliRunner().invoke(command, (*words, "--size", "tiny"))

    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["acceptance", "ids", "draft", "trained"]
    assert "texts 0%: 0 ids of 0 parts" in result.stderr
    again = CliRunner().invoke(command, (*words, "--size", "tiny", "--json"))
    assert json.loads(again.stdout) == json.loads((tmp_path / "draft" / "report.json").read_text())
