"""A study that cannot run to its end is refused before anything is trained."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from crt_basics.datasets.specs import Digits
from crt_basics.experiments.specs import TwoStage
from crt_basics.priors.saved import write_run
from crt_basics.priors.specs import Table
from crt_cli.commands import main
from crt_run.runs.rehearse import rehearse_plan, shortened
from crtcore import discover
from crtcore.compose.plan import load
from crtcore.errors import RunError

SPECS = Path(__file__).parents[1] / "specs"
SMOKE = str(SPECS / "smoke.toml")
FAULTS = {
    "continuous codes before a prior": (
        ["bottleneck={use='gaussian', width=8, latent=4}"],
        r"bottleneck\.use: expected a discrete bottleneck",
    ),
    "a banned id beyond the vocabulary": (
        ["sampling.banned=[99]"],
        r"sampling\.banned: expected ids below the vocabulary, 16, got 99",
    ),
    "fewer samples than a metric needs": (
        ["experiment.samples=12"],
        r"frechet: expected at least \d+ held-out samples",
    ),
    "a late loss that needs the whole batch": (
        ["regularizer=[{use='matched-rate', bits=2.0, last=0.2}]", "training.tokenizer.accumulate=2"],
        r"a loss needs the statistics of the whole batch at once, .*; set `accumulate` of this training to 1",
    ),
    "a rare loss that needs the whole batch": (
        ["regularizer=[{use='matched-rate', bits=2.0, every=4}]", "training.tokenizer.accumulate=2"],
        r"a loss needs the statistics of the whole batch at once, .*; set `accumulate` of this training to 1",
    ),
    "a folder that is not there": (
        ["dataset={use='image-folder', folder='gone', size=8}"],
        r"dataset\.folder: expected a file or folder 'gone', got none",
    ),
    "saved weights that are not there": (
        ["draft.use=saved", "draft.run=gone"],
        r"expected a finished run, by its folder or its name in .*, got 'gone'",
    ),
}
"""Fault to overrides of the smoke spec that plant it, and the message."""


def words(overrides: list[str]) -> list[str]:
    return [word for each in overrides for word in ("--set", each)]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_study_that_would_fail_after_training_is_refused_before_it(fault: str, tmp_path: Path) -> None:
    overrides, message = FAULTS[fault]
    began = time.perf_counter()

    result = CliRunner().invoke(main, ["run", SMOKE, "--runs", str(tmp_path / "runs"), *words(overrides)])

    assert result.exit_code == (2 if "continuous" in fault else 1)  # a fault that the spec file alone shows
    assert re.search(message, result.stderr), result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "runs" / "stages").exists()
    assert time.perf_counter() - began < 60


def test_every_faulty_arm_is_named_and_no_other_is_trained(tmp_path: Path) -> None:
    sweep = "sweep={arms={baseline={}, banned={'sampling.banned'=[99]}, few={'experiment.samples'=3}}, seed=[0, 1]}"

    result = CliRunner().invoke(main, ["run", SMOKE, "--runs", str(tmp_path), *words([sweep])])

    assert result.exit_code == 1
    assert re.search(r"banned: .*99", result.stderr)
    assert re.search(r"few: .*expected at least", result.stderr)
    assert "baseline:" not in result.stderr.replace("smoke:", "")
    assert not (tmp_path / "stages").exists()


def test_a_rehearsal_alone_says_how_long_it_took_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(main, ["check", SMOKE, "--rehearse"])

    assert result.exit_code == 0, result.output
    assert re.search(r"^baseline: rehearsed in \d+\.\d s$", result.stdout, re.MULTILINE)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("spec", sorted(path.name for path in (SPECS / "figures").glob("*.toml")))
def test_a_rehearsal_takes_few_steps_of_few_samples(spec: str) -> None:
    plan = load(SPECS / "figures" / spec, discover()).points[0].plan

    small, few = shortened(plan)

    assert few <= 64
    assert sum(stage.training.steps for stage in small.stages) <= 2 * len(small.stages)
    assert all(stage.training.batch <= 2 for stage in small.stages)


@pytest.mark.parametrize(
    ("spec", "method", "who"),
    [
        (TwoStage, "rehearsed", "rehearsal: experiment 'two-stage' of plugin 'basics' of crt-basics"),
        (Digits, "build", r"rehearsal on \d+ samples: dataset 'digits' of plugin 'basics' of crt-basics"),
    ],
)
@pytest.mark.parametrize("error", [ZeroDivisionError("x"), SystemExit(0)])
def test_whatever_a_component_raises_in_a_rehearsal_is_an_error_that_names_it(
    spec: type, method: str, who: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(self: object) -> None:
        raise type(error)(*error.args)  # anew: one that was raised before keeps where

    plan = load(Path(SMOKE), discover()).points[0].plan
    monkeypatch.setattr(spec, method, raising)

    with pytest.raises(RunError, match=rf"^{who} \S+: {type(error).__name__}: \w$"):
        rehearse_plan(plan)


def test_a_check_notes_files_that_are_not_there() -> None:
    words_ = words(["dataset={use='image-folder', folder='gone', size=8}"])

    result = CliRunner().invoke(main, ["check", SMOKE, *words_])

    assert result.exit_code == 0
    assert "note: dataset.folder: 'gone' is not there; a run needs it" in result.stderr


def test_a_draft_that_does_not_fit_its_target_is_refused(tmp_path: Path) -> None:
    """Weights of a prior over eight ids, for one over sixteen."""
    prior = Table(order=1)
    tensors = {f"part.draft.{k}": v for k, v in prior.build(8, 16, 10).state_dict().items()}
    draft = ["draft.use=saved", f"draft.run={write_run(tmp_path / 'weights', tensors)}", "draft.prior.use=table"]

    result = CliRunner().invoke(
        main, ["run", SMOKE, "--runs", str(tmp_path / "runs"), *words([*draft, "draft.prior.order=1"])]
    )

    assert result.exit_code == 1
    assert "expected a prior over 16 ids" in result.stderr
    assert not (tmp_path / "runs" / "stages").exists()
