"""Finished runs of several packages as objects: drafts, many decoders, and a prior that no stage trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tomli
import torch

import crtcore
from crt_run.runs.ended import Ended
from crt_run.runs.execute import execute
from crtcore.compose.document import Document
from crtcore.compose.plan import study

SMOKE = Path(__file__).parent.parent / "specs" / "smoke.toml"
DECODING: dict[str, Any] = {
    "name": "decoding",
    "experiment": {
        "use": "decoding",
        "prompts": 2,
        "timed": 2,
        "choices": 2,
        "prompt": 4,
        "length": 8,
        "evaluations": 1,
    },
    "dataset": {"use": "python-source", "length": 24},
    "prior": {"use": "transformer", "layers": 1, "width": 16, "heads": 2},
    "draft": {"use": "transformer", "layers": 1, "width": 8, "heads": 1},
    "decoder": [{"use": "sd", "length": 2}, {"use": "rsd-s", "width": 2, "length": 2}],
    "training": {"prior": {"steps": 3, "batch": 4}, "draft": {"steps": 3, "batch": 4}},
}


def ran(values: dict[str, Any], runs: Path) -> Any:
    """The run of a spec file, loaded."""
    (point,) = study(Document(values, {}), crtcore.discover()).points
    execute(point.plan, runs)
    return crtcore.load_run(values["name"], runs)


def smoke(**changes: Any) -> dict[str, Any]:
    values = tomli.loads(SMOKE.read_text())
    values["experiment"]["samples"] = 40
    del values["metric"]
    for training in values["training"].values():
        training["steps"] = 4
    return {**values, **changes}


def draws_the_same(run: Any) -> bool:
    """Whether it draws what the run has kept."""
    dataset = run.plan.parts["dataset"].build()
    class_ids = dataset.take("test", torch.arange(40) * dataset.sizes["test"] // 40).class_ids
    kept = torch.from_numpy(Ended(run.folder).samples["generated"])
    return torch.equal(run.sample(40, class_ids=class_ids).data, kept)


@pytest.mark.slow
def test_a_run_with_a_draft_draws_what_it_drew(tmp_path: Path) -> None:
    run = ran(smoke(), tmp_path)

    assert len(run.drafts) == 1
    assert draws_the_same(run)


@pytest.mark.slow
def test_a_prior_that_is_made_of_the_tokenizer_is_made_again(tmp_path: Path) -> None:
    values = smoke(prior={"use": "causal-head"}, decoder={"use": "ancestral"})
    del values["draft"], values["training"]["prior"], values["training"]["draft"]

    run = ran(values, tmp_path)

    assert run.stages == ["tokenizer"]
    assert draws_the_same(run)


@pytest.mark.slow
def test_a_run_over_ids_draws_rows_of_ids_with_its_first_decoder(tmp_path: Path) -> None:
    run = ran(DECODING, tmp_path)

    drawn = run.sample(3)

    assert drawn.ids.shape == (3, 24)
    assert drawn.data is None
    assert len(run.decoders) == 2
    assert torch.equal(run.sample(2).ids, drawn.ids[:2])
    assert torch.equal(crtcore.load_run(run.save_pretrained(tmp_path / "shared")).sample(3).ids, drawn.ids)
