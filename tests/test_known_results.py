"""Results that moves and renames must not change: addresses of trained stages, and the smoke spec's result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import crtcore
from crt_run.runs.execute import execute
from crt_run.runs.run import Run
from crtcore.compose.plan import load
from crtcore.kinds import Plan, digest

torch.set_num_threads(1)  # more round otherwise
SPECS = Path(__file__).resolve().parents[1] / "specs"
FIRST_STAGES = {
    ("quickstart.toml", "baseline"): ("tokenizer", "8addeb2a5e74"),
    ("quickstart.toml", "crt"): ("tokenizer", "d7aa7af0edfa"),
    ("quickstart.toml", "matched-rate"): ("tokenizer", "2878aa37f421"),
    ("figures/rsd.toml", "baseline, sampling.temperature=0.3"): ("prior", "9776e2f16d72"),
    ("figures/meta-vs-last-vib.toml", "baseline"): ("prior", "e641f7347811"),
    ("figures/meta-vs-last-vib.toml", "pause"): ("prior", "9e324ce5cd25"),
    ("figures/rate-axis.toml", "baseline"): ("tokenizer", "80d68e6d0380"),
    ("figures/crt-scaling.toml", "digits"): ("baseline-tokenizer", "75f94111ed1a"),
    ("figures/crt-rate.toml", "baseline, bottleneck.codes=8, tokenizer.halvings=1, prior.width=8"): (
        "tokenizer",
        "cad4f41205dc",
    ),
    ("figures/latent-strategies.toml", "baseline"): ("tokenizer", "8cced16a3fcb"),
}
"""Spec file and group of points to the first stage that they train, and its address."""
SMOKE_STAGES = {"tokenizer": "1b2dbc86339c", "prior": "97acc5cf4a2c", "draft": "5fd59ccbfb6e"}
SMOKE = json.loads(Path(__file__).with_name("smoke.json").read_text())


class Reached(Exception):
    """An experiment is about to train a stage."""


@pytest.mark.parametrize(("spec", "group"), FIRST_STAGES)
def test_a_kept_study_finds_its_first_stage_where_it_was(
    spec: str, group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def stage(self: Run, name: str, reads: tuple[str, ...], of: Plan | None = None) -> Iterator[Any]:
        raise Reached(name, digest({"stage": name, **(of or self.plan).excerpt(reads)}))
        yield

    monkeypatch.setattr(Run, "stage", stage)
    study = load(SPECS / spec, crtcore.discover())
    plan = next(point.plan for point in study.points if point.group == group)

    with pytest.raises(Reached) as reached:
        plan.experiment.build()(plan, Run(plan, tmp_path))

    assert reached.value.args == FIRST_STAGES[spec, group]


def test_the_smoke_spec_has_its_known_stages_and_result(tmp_path: Path) -> None:
    (point,) = load(SPECS / "smoke.toml", crtcore.discover()).points

    result = execute(point.plan, tmp_path)

    stages = tmp_path / "stages"
    trained = {name: [path.name for path in (stages / name).iterdir() if path.is_dir()] for name in SMOKE_STAGES}
    assert trained == {name: [address] for name, address in SMOKE_STAGES.items()}
    if torch.backends.cpu.get_cpu_capability() == "AVX512":
        assert result == SMOKE
    else:  # other instructions round otherwise, and training carries that on
        assert result["numbers"].keys() == SMOKE["numbers"].keys()
        for name, number in SMOKE["numbers"].items():
            assert result["numbers"][name]["value"] == pytest.approx(number["value"], rel=0.1), name
