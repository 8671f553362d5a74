"""Results that moves and renames must not change: keys of trained stages, and the smoke spec's result."""

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
from crtcore.kinds import StagePlan, digest

torch.set_num_threads(1)  # more round otherwise
SPECS = Path(__file__).resolve().parents[1] / "specs"
FIRST_STAGES = {
    ("quickstart.toml", "baseline"): ("tokenizer", "84cca62ecaeb"),
    ("quickstart.toml", "crt"): ("tokenizer", "8b3b574455ff"),
    ("quickstart.toml", "matched-rate"): ("tokenizer", "1d100ed4bac6"),
    ("figures/rsd.toml", "baseline, sampling.temperature=0.3"): ("prior", "f99a6573ad0e"),
    ("figures/meta-vs-last-vib.toml", "baseline"): ("prior", "c7f745f57f68"),
    ("figures/meta-vs-last-vib.toml", "pause"): ("prior", "9f030f2cd125"),
    ("figures/rate-axis.toml", "baseline"): ("tokenizer", "5be161c60bc0"),
    ("figures/crt-scaling.toml", "digits"): ("baseline-tokenizer", "84cca62ecaeb"),
    ("figures/crt-rate.toml", "baseline, bottleneck.codes=8, tokenizer.halvings=1, prior.width=8"): (
        "tokenizer",
        "5765774ce8df",
    ),
    ("figures/latent-strategies.toml", "baseline"): ("tokenizer", "2c533a74caac"),
}
"""Spec file and group of points to the first stage that they train, and its address."""
SMOKE_STAGES = {"tokenizer": "14d5187b31c7", "prior": "93e0148c79e5", "draft": "2f20274c6180"}
SMOKE = json.loads(Path(__file__).with_name("smoke.json").read_text())


class Reached(Exception):
    """An experiment is about to train a stage."""


@pytest.mark.parametrize(("spec", "group"), FIRST_STAGES)
def test_a_kept_study_finds_its_first_stage_where_it_was(
    spec: str, group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def stage(self: Run, plan: StagePlan, label: str = "", reads: tuple[str, ...] = ()) -> Iterator[Any]:
        raise Reached(plan.name, digest(plan.key))
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
    assert {**result, "numbers": result["numbers"].keys()} == {**SMOKE, "numbers": SMOKE["numbers"].keys()}
    # Other instructions round otherwise, and training carries that on; so do two processors with the same instructions.
    same = torch.backends.cpu.get_cpu_capability() == "AVX512"
    for name, number in SMOKE["numbers"].items():
        got, values = result["numbers"][name], [key for key in number if key in ("value", "low", "high")]
        assert {**got, **dict.fromkeys(values)} == {**number, **dict.fromkeys(values)}, name
        for key in values if same else ("value",):
            assert got[key] == pytest.approx(number[key], rel=1e-4 if same else 0.1), (name, key)
