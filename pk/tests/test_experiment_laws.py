"""The laws of experiments hold for one that trains a prior, and for the experiments of crt-basics."""

from __future__ import annotations

import pytest

from crt_basics.experiments.specs import Compression, Drafting, TwoStage
from crt_laws import attempt, obeys
from crt_laws.laws.experiment import BENCH
from crt_laws.toy_experiment import Learn
from crtcore.kinds import ExperimentSpec

test_an_experiment_that_trains_a_prior = obeys(Learn())


@pytest.mark.slow
@pytest.mark.parametrize("spec", [Compression(), TwoStage(), Drafting()], ids=lambda spec: type(spec).__name__)
@pytest.mark.parametrize("law", [law.name for law in BENCH.laws])
def test_the_experiments_of_crt_basics_obey(law: str, spec: ExperimentSpec) -> None:
    assert attempt(spec, law).checks > 0
