"""The laws of experiments hold for one that trains a prior, and for the experiments of crt-basics."""

from __future__ import annotations

import itertools
from pathlib import Path

import attrs
import pytest

from crt_basics.experiments.specs import Compression, Drafting, TwoStage
from crt_laws import Broken, attempt, obeys
from crt_laws.laws.experiment import BENCH, another_run_ends_with_the_same_bits
from crt_laws.laws.experiment_cases import Killed, Trial, document, registered, trial
from crt_laws.laws.experiment_offenders import with_number
from crt_laws.toy_experiment import Learn
from crtcore.kinds import ExperimentSpec, Findings, Plan, Run

test_an_experiment_that_trains_a_prior = obeys(Learn())


@pytest.mark.slow
@pytest.mark.parametrize("spec", [Compression(), TwoStage(), Drafting()], ids=lambda spec: type(spec).__name__)
@pytest.mark.parametrize("law", [law.name for law in BENCH.laws])
def test_the_experiments_of_crt_basics_obey(law: str, spec: ExperimentSpec) -> None:
    assert attempt(spec, law).checks > 0


@pytest.fixture(scope="module")
def sound() -> Trial:
    return trial(Learn())


@pytest.mark.parametrize(("quarter", "checkpoints"), [(1, 0), (3, 1)])
def test_a_kill_finds_no_checkpoint_or_one_and_never_the_last(
    tmp_path: Path, sound: Trial, quarter: int, checkpoints: int
) -> None:
    with pytest.raises(Killed):
        sound.run(tmp_path, kill=sound.whole.moments * quarter // 4)

    assert len(list(tmp_path.glob("stages/prior/*/step-*"))) == checkpoints
    assert not list(tmp_path.glob("stages/prior/*/final"))


def test_numbers_that_a_clock_makes_may_differ(sound: Trial) -> None:
    clock = itertools.count()

    def timed(plan: Plan, run: Run) -> Findings:
        return with_number(sound.experiment(plan, run), float(next(clock)))

    with pytest.raises(Broken, match="number another in another folder"):
        another_run_ends_with_the_same_bits.attempt(attrs.evolve(sound, experiment=timed))
    assert another_run_ends_with_the_same_bits.attempt(attrs.evolve(sound, experiment=timed, clocked=("another",)))


def test_a_small_spec_file_has_what_the_experiment_requires_and_what_it_names() -> None:
    tables = document(TwoStage(), registered(TwoStage()))

    assert [each["use"] for each in tables["metric"]] == ["code-length", "frechet"]
    assert set(tables) == {
        "name", "experiment", "dataset", "tokenizer", "bottleneck", "prior", "decoder", "metric", "training"
    }  # fmt: skip
    assert set(tables["training"]) == {"tokenizer", "prior"}
