"""What the numbers of a run mean."""

from __future__ import annotations

from crt_laws.toy_studies import REGISTRY
from crt_run.present.meanings import directed, explained
from crtcore.kinds import Meaning

SPEC = """\
[experiment]
use = "two-stage"
[[metric]]
use = "frechet"
[[metric]]
use = "gone"
"""


def test_numbers_are_explained_by_the_experiment_and_its_metrics() -> None:
    explained_ = explained(["codes_used", "generation_frechet", "two_part_code_length_bits"], SPEC, REGISTRY)

    assert set(explained_) == {"codes_used", "generation_frechet"}  # the code length is of a metric that is not used
    assert explained_["generation_frechet"].better == "lower"


def test_an_arrow_has_the_direction_in_which_a_number_is_better() -> None:
    assert directed("mbsu", Meaning("speed", "higher")) == "mbsu ↑"
    assert directed("bits", Meaning("length", "lower")) == "bits ↓"
    assert directed("codes", Meaning("their number")) == directed("codes", None) == "codes"
