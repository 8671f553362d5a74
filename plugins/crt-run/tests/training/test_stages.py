"""Training a prior on a dataset of ids: by the dataset's loss weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import attrs
import pytest
import torch
from torch import Tensor

from crt_basics.plugin import crt_components
from crt_run.runs.execute import execute
from crt_run.runs.run import Run
from crt_run.training.plans import prior_stages
from crt_run.training.stages import build_dataset, prior_of
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.hooks import Component
from crtcore.kinds import Batch, DatasetSpec, Experiment, ExperimentSpec, Findings, Measurement, Plan, Role, StagePlan
from crtcore.registry import Registry
from crtcore.spec import FILES


class PairRows:
    """Rows of id 0 and then id 1, of which the second one counts as often as its weight."""

    sizes: ClassVar[Mapping[str, int]] = {"train": 8, "validation": 4, "test": 4}
    classes = None
    levels = None
    vocabulary = 3
    checksum = "0" * 64

    def __init__(self, second: float) -> None:
        self.second = second

    def take(self, split: str, indices: Tensor) -> Batch:
        """The same row each time."""
        rows = len(indices)
        return Batch(torch.tensor([[0, 1]]).repeat(rows, 1), None, torch.tensor([[1.0, self.second]]).repeat(rows, 1))


@attrs.frozen(kw_only=True)
class Pairs(DatasetSpec):
    """Rows of two ids."""

    form: ClassVar[str] = "ids"

    second: float = 0.0

    def build(self) -> PairRows:
        """The rows."""
        return PairRows(self.second)


@attrs.frozen(kw_only=True)
class Stored(Pairs):
    """Rows that would be read from a folder."""

    folder: str = attrs.field(metadata=FILES)


@attrs.frozen(kw_only=True)
class Around(Pairs):
    """Rows made of those of another dataset."""

    inner: Stored


@attrs.frozen(kw_only=True)
class Learn(ExperimentSpec):
    """Trains a table of order 0, and returns what it says of each id."""

    roles: ClassVar[Mapping[str, Role]] = {"dataset": Role("dataset"), "prior": Role("prior")}
    stages: ClassVar[Mapping[str, str]] = {"prior": "prior"}

    evaluations: int = 2

    def stage_plans(self, plan: Plan) -> list[StagePlan]:
        """The prior."""
        return prior_stages(plan, "prior")

    def build(self) -> Experiment:
        """The experiment."""
        return self.logits

    def logits(self, plan: Plan, run: Run) -> Findings:
        """The logits."""
        prior = prior_of("prior", plan, run, plan.parts["dataset"].build())
        with torch.inference_mode():
            logits = prior(torch.tensor([[]], dtype=torch.int64))[0, 0]
        return Findings({f"id_{place}": Measurement(float(value), "nats", 1) for place, value in enumerate(logits)})


REGISTRY = Registry.of(
    [
        *(("crtcore", component) for component in crt_components()),
        ("toys", Component("pairs", spec=Pairs, summary="rows of two ids", examples=(Pairs(),))),
        ("toys", Component("learn", spec=Learn, summary="one prior", examples=(Learn(),))),
    ]
)


def plan(second: float = 0.0) -> Plan:
    tables = {
        "name": "learn",
        "experiment": {"use": "learn"},
        "dataset": {"use": "pairs", "second": second},
        "prior": {"use": "table", "order": 0, "spread": 0.0},
        "training": {"prior": {"steps": 20, "batch": 4, "optimizer": {"learning_rate": 0.1}}},
    }
    (point,) = study(Document(tables, {}), REGISTRY).points
    return point.plan


@pytest.mark.parametrize(("second", "learnt"), [(0.0, False), (1.0, True)])
def test_a_target_without_weight_teaches_nothing(second: float, learnt: bool, tmp_path: Path) -> None:
    numbers = execute(plan(second), tmp_path)["numbers"]

    said = [numbers[f"id_{place}"]["value"] for place in range(3)]
    assert said[0] > said[2]
    assert (said[1] > said[2]) == learnt  # both start at 0, and id 2 is never met


def test_what_a_dataset_leaves_out_is_recorded_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[object] = []
    quiet, loud = Run(plan(), tmp_path, events.append), Run(plan(), tmp_path, events.append)
    skipped = {"hidden": {"number": 2100, "first": "ape/._1.png"}, "in no class": {"number": 1, "first": "x"}}

    build_dataset(plan(), quiet)
    monkeypatch.setattr(PairRows, "skipped", skipped, raising=False)
    build_dataset(plan(), loud)

    sizes = {"checksum": "0" * 64, "sizes": {"train": 8, "validation": 4, "test": 4}}
    assert quiet.facts["dataset"] == sizes
    assert loud.facts["dataset"] == {**sizes, "skipped": skipped}
    text = "dataset: left out 2,100 hidden (first 'ape/._1.png'), 1 in no class (first 'x')"
    assert events == [{"event": "note", "text": text}]


def test_a_process_keeps_the_dataset_that_it_built_last(tmp_path: Path) -> None:
    run = Run(plan(), tmp_path, lambda _: None)

    first, same, other, again = (build_dataset(plan(second), run) for second in (0.0, 0.0, 1.0, 0.0))

    assert same is first
    assert other.second == 1.0
    assert again is not first  # one is kept at a time
    assert again.second == 0.0


def test_a_rehearsal_builds_its_dataset_itself(tmp_path: Path) -> None:
    kept = build_dataset(plan(), Run(plan(), tmp_path, lambda _: None))
    rehearsed = build_dataset(plan(), Run(plan(), tmp_path, lambda _: None, few=2))

    assert rehearsed.take.__self__ is not kept
    assert rehearsed.sizes == {"train": 2, "validation": 2, "test": 2}


@pytest.mark.parametrize("nested", [False, True])
def test_a_dataset_of_files_is_read_again(nested: bool, tmp_path: Path) -> None:  # they may have changed
    dataset = Around(inner=Stored(folder="here")) if nested else Stored(folder="here")
    run = Run(plan(), tmp_path, lambda _: None)
    reading = attrs.evolve(plan(), parts={**plan().parts, "dataset": dataset})

    assert build_dataset(reading, run) is not build_dataset(reading, run)
