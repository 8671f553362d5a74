"""A saved prior: the weights of a finished stage, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch
from torch import Tensor

from crt_basics.plugin import crt_components
from crt_basics.priors.saved import write_run
from crt_basics.priors.specs import Saved, Table
from crt_basics.priors.table import TablePrior
from crt_laws import obeys
from crt_laws.toys import Patches
from crt_run.runs import checkpoint
from crt_run.runs.contents import of_plan
from crt_run.runs.execute import execute
from crtcore.compose.document import Document
from crtcore.compose.plan import study
from crtcore.compose.study import Study
from crtcore.errors import RunError
from crtcore.hooks import Component
from crtcore.kinds import PriorSpec
from crtcore.registry import Registry

test_a_saved_table = obeys(Saved(run="the laws bring their own", prior=Table(order=1)))

VOCABULARY, CLASSES = 3, 2
GUIDED: dict[str, Any] = {"use": "guided", "scale": 2.0, "prior": {"use": "table", "order": 1}}
Keep = Callable[[Mapping[str, Tensor]], Saved]


@attrs.frozen(kw_only=True)
class Weightless(PriorSpec):
    """A prior that is no module."""

    def build(self, vocabulary: int, length: int, classes: int | None) -> Any:
        return object()


def table(seed: int) -> TablePrior:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Table(order=1).build(VOCABULARY, 4, CLASSES)


def weights(part: str = "part.prior") -> dict[str, Tensor]:
    """What a stage that trains one prior leaves."""
    return {f"{part}.logits": table(1).logits.detach()}


@pytest.fixture
def keep(tmp_path: Path) -> Keep:
    """Writes a run with tensors, and refers to its prior."""

    def commit(tensors: Mapping[str, Tensor]) -> Saved:
        return Saved(run=str(write_run(tmp_path, tensors)), prior=Table(order=1))

    return commit


def small(prior: Any = GUIDED["prior"], **tables: Any) -> Study:
    """A study of one small run."""
    toy = Component("patches", spec=Patches, summary="", examples=(Patches(),))
    values = {
        "name": "small", "experiment": {"use": "two-stage"}, "dataset": {"use": "digits"},
        "tokenizer": {"use": "patches"}, "bottleneck": {"use": "fsq", "levels": [2, 2]},
        "prior": prior, "decoder": {"use": "ancestral"},
        "training": {"tokenizer": {"steps": 1}, "prior": {"steps": 1}}, **tables,
    }  # fmt: skip
    registry = Registry.of([*(("crtcore", one) for one in crt_components()), ("here", toy)])
    return study(Document(values, {}), registry)


@pytest.mark.parametrize("part", ["part.prior", "part.draft"])
def test_the_weights_are_those_that_were_kept_whatever_the_part_is_called(keep: Keep, part: str) -> None:
    prior = keep(weights(part)).build(VOCABULARY, 4, CLASSES)

    assert isinstance(prior, TablePrior)
    assert torch.equal(prior.logits, table(1).logits)


@pytest.mark.parametrize("guided", [True, False])
def test_the_prior_of_a_finished_run_is_that_of_its_stage_as_the_run_describes_it(tmp_path: Path, guided: bool) -> None:
    (point,) = small(GUIDED if guided else GUIDED["prior"]).points
    execute(point.plan, tmp_path)
    (folder,) = (tmp_path / "stages" / "prior").glob("*/final")

    prior = Saved(run="small").located(tmp_path).build(4, 4, 10)

    assert isinstance(prior, TablePrior)
    assert torch.equal(prior.logits, checkpoint.load(folder).tensors["part.prior.logits"])


@pytest.mark.parametrize("run", ["none", "x" * 200])
def test_a_run_that_is_not_there_is_refused(tmp_path: Path, run: str) -> None:
    with pytest.raises(
        RunError, match=f"expected a finished run, by its folder or its name in {tmp_path}, got '{run}'"
    ):
        Saved(run=run).located(tmp_path)


def test_a_stage_that_is_not_there_is_refused(keep: Keep) -> None:
    with pytest.raises(RunError, match="expected a stage of this run, got 'piror'; did you mean 'prior'"):
        attrs.evolve(keep(weights()), stage="piror").build(VOCABULARY, 4, CLASSES)


def test_a_stage_that_trains_no_prior_is_refused(tmp_path: Path) -> None:
    (point,) = small().points
    execute(point.plan, tmp_path)

    with pytest.raises(RunError, match="expected a stage that trains a prior, got 'tokenizer'"):
        Saved(run="small", stage="tokenizer").located(tmp_path).build(4, 4, 10)


def test_other_weights_are_another_run(tmp_path: Path) -> None:
    kept = {"use": "saved", "run": "example", "prior": {"use": "table", "order": 1}}
    plans = []
    for seed in (1, 2):
        write_run(tmp_path, {"part.prior.logits": table(seed).logits})
        (point,) = small(kept, training={"tokenizer": {"steps": 1}}).points
        plans.append(of_plan(point.plan, tmp_path))
        checkpoint.remove(tmp_path / "stages" / "prior" / "example" / "final")

    assert plans[0].hash != plans[1].hash
    assert plans[0].document == plans[1].document


def test_a_damaged_checkpoint_is_refused(keep: Keep) -> None:
    spec = keep(weights())
    file = spec.weights() / "tensors.safetensors"
    *others, last = file.read_bytes()
    file.write_bytes(bytes((*others, last ^ 1)))

    with pytest.raises(
        RunError, match=rf"checkpoint in {spec.weights()} as it was written, got a damaged one \({file}: .*\); copy"
    ):
        spec.build(VOCABULARY, 4, CLASSES)


@pytest.mark.parametrize(
    ("more", "got"),
    [
        ("part.regularizer", "part.prior, part.regularizer"),
        ("optimizer.prior", "optimizer.prior, part.prior"),
        ("best.prior", "best.prior, part.prior"),
    ],
)
def test_anything_beside_one_part_is_refused(keep: Keep, more: str, got: str) -> None:
    spec = keep(weights() | weights(more))

    with pytest.raises(RunError, match=rf"expected the tensors of one part in {spec.weights()}, got {got}; name"):
        spec.build(VOCABULARY, 4, CLASSES)


@pytest.mark.parametrize(("tensors", "got"), [({}, "none"), (weights("best.prior"), "best.prior")])
def test_a_checkpoint_without_a_part_is_refused(keep: Keep, tensors: Mapping[str, Tensor], got: str) -> None:
    spec = keep(tensors)

    with pytest.raises(RunError, match=rf"expected the tensors of one part in {spec.weights()}, got {got}; name"):
        spec.build(VOCABULARY, 4, CLASSES)


@pytest.mark.parametrize(
    ("prior", "vocabulary", "classes", "wanted"),
    [
        (Table(order=2), VOCABULARY, CLASSES, r"float64 \[3, 16, 3\]"),
        (Table(order=1), 4, CLASSES, r"float64 \[3, 5, 4\]"),
        (Table(order=1), VOCABULARY, None, r"float64 \[1, 4, 3\]"),
    ],
    ids=["another prior", "another vocabulary", "no classes"],
)
def test_weights_that_do_not_fit_are_refused(
    keep: Keep, prior: PriorSpec, vocabulary: int, classes: int | None, wanted: str
) -> None:
    spec = attrs.evolve(keep(weights()), prior=prior)

    with pytest.raises(
        RunError, match=rf"{spec.weights()}: expected 'logits' to be {wanted}, got float64 \[3, 4, 3\]; expected a"
    ):
        spec.build(vocabulary, 4, classes)


def test_weights_of_another_precision_are_refused(keep: Keep) -> None:
    spec = keep({name: value.float() for name, value in weights().items()})

    with pytest.raises(RunError, match=r"expected 'logits' to be float64 \[3, 4, 3\], got float32 \[3, 4, 3\]"):
        spec.build(VOCABULARY, 4, CLASSES)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda tensors: {"part.prior.scale": next(iter(tensors.values()))}, r"'logits' to be float64 .*, got absent"),
        (lambda tensors: tensors | {"part.prior.bias": torch.zeros(1)}, r"'bias' to be absent, got float32 \[1\]"),
    ],
    ids=["one that is missing", "one too many"],
)
def test_a_tensor_missing_or_too_many_is_named(keep: Keep, change: Callable[[Any], Any], expected: str) -> None:
    spec = keep(change(weights()))

    with pytest.raises(RunError, match=f"expected {expected}; expected a prior over 3 ids and 2 classes"):
        spec.build(VOCABULARY, 4, CLASSES)


def test_a_prior_without_weights_is_refused(keep: Keep) -> None:
    spec = attrs.evolve(keep(weights()), prior=Weightless())

    with pytest.raises(RunError, match=rf"expected a prior with weights to load from {spec.weights()}, got object"):
        spec.build(VOCABULARY, 4, CLASSES)
