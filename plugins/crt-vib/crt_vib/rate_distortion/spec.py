"""Spec of the rate-distortion study, free of torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from crt_run.training.plans import prior_stages
from crt_vib.lists.spec import KnownJoint
from crt_vib.rate_distortion.meanings import MEANINGS
from crtcore.kinds import ExperimentSpec, Figure, Meaning, Role, StagePlan
from crtcore.spec import FieldError, at_least, between, each

if TYPE_CHECKING:
    from crtcore.kinds import Plan


def different(_: object, attribute: attrs.Attribute[Any], value: tuple[Any, ...]) -> None:
    """Refuses a value that is there twice.

    Raises: FieldError.
    """
    if len(set(value)) < len(value):
        raise FieldError(attribute.name, f"expected different values, got {value!r}")


def rising(_: object, attribute: attrs.Attribute[Any], value: tuple[float, float]) -> None:
    """Refuses two rates of which the second is not above the first.

    Raises: FieldError.
    """
    if not 0 <= value[0] < value[1]:
        raise FieldError(attribute.name, f"expected two rates, the second above the first, got {value!r}")


FEW = 64
"""Rows of a rehearsal: of two, both may be too short."""


@attrs.frozen(kw_only=True)
class RateDistortion(ExperimentSpec):
    """Trains (or loads) a language model, and measures how well bottlenecks of its hidden state predict an answer.

    For each weight a bottleneck and a linear prediction of the answer are trained on states of the frozen model; rate
    and distortion are measured on held-out rows, with several codes for each. The answer is the last id of a row
    other than META; META is the last id of the vocabulary of a dataset with METAs.
    Source: Shah et al. (2025), arXiv:2509.16278; Alemi et al. (2017), arXiv:1612.00410.
    """

    implementation: ClassVar[str] = "crt_vib.rate_distortion.experiment:RateDistortionExperiment"
    roles: ClassVar[Mapping[str, Role]] = {
        "dataset": Role("dataset"),
        "prior": Role("prior"),
        "bottleneck": Role("bottleneck"),
        "regularizer": Role("regularizer"),
    }
    stages: ClassVar[Mapping[str, str]] = {"prior": "prior", "bottleneck": "bottleneck"}
    small: ClassVar[Mapping[str, Any]] = {
        "dataset": {"use": "lists", "lists": 2, "items": 1, "symbols": 4, "noise": 0.2},
        "prior": {"use": "meta-transformer", "layers": 1, "width": 16, "heads": 2},
        "bottleneck": {"use": "gaussian", "width": 16, "latent": 4, "hidden": 16, "components": 2},
        "regularizer": {"use": "rate-squared"},
    }
    figures: ClassVar[tuple[Figure, ...]] = (
        Figure(
            across="rate_nats",
            lines="arm",
            numbers=("distortion_nats",),
            along="weight",
            references=("frontier_nats", "floor_nats"),
        ),
    )
    meanings: ClassVar[Mapping[str, Meaning]] = MEANINGS

    weights: tuple[float, ...] = attrs.field(validator=[each(at_least(0)), different])
    """Weights of the regulariser (beta in the source): each gives a bottleneck and a point of the curve."""
    read: Literal["last", "meta", "case"] = "last"
    """Where the state is read: at the last id that is not META, or at a META appended to it. `case` is the control: in
    place of a state the one-hot case of the row, so that any loss is due to the bottleneck and the predictor."""
    distance: int = attrs.field(default=1, validator=at_least(1))
    """Distance from the last id of the prompt to the answer, in ids that are not META."""
    gate: float = attrs.field(default=0.95, validator=between(0, 1))
    """Share of the best accuracy that the language model must reach, if the best one is known."""
    train: int = attrs.field(default=50_000, validator=at_least(2))
    """Most rows to train bottlenecks on."""
    validation: int = attrs.field(default=5_000, validator=at_least(2))
    """Most held-out rows to score a bottleneck on while it trains; the best one is kept."""
    test: int = attrs.field(default=20_000, validator=at_least(2))
    """Most held-out rows for the final numbers."""
    samples: int = attrs.field(default=8, validator=at_least(1))
    """Codes drawn for each of them."""
    between: tuple[float, float] = attrs.field(default=(0.5, 2.5), validator=rising)
    """Rates in nats between which the mean distortion is taken."""
    evaluations: int = attrs.field(default=10, validator=at_least(1))
    """Number of validations of the language model, and of each bottleneck, while it trains."""

    def stage_plans(self, plan: Plan) -> list[StagePlan]:
        """The language model, if it is not pretrained, and a bottleneck for each weight."""
        first = prior_stages(plan, "prior")
        fields = ("read", "distance", "train", "validation", "evaluations")
        bottleneck = StagePlan(
            "bottleneck", plan, plan.training["bottleneck"],
            reads=(
                "seed", "dataset", *(f"experiment.{field}" for field in fields), "bottleneck", "regularizer",
                "training.bottleneck", *([] if first else ["prior"]),
            ),
            objective="crt_vib.rate_distortion.probe_training:probe_objective",
            material="crt_vib.rate_distortion.probe_training:examples",
            after=tuple(first), repeats=self.weights,
        )  # fmt: skip
        return [*first, bottleneck]

    def rehearsed(self) -> tuple[RateDistortion, int]:
        """One weight on a few rows, whatever the language model has learned."""
        return attrs.evolve(self, weights=self.weights[:1], gate=0.0, samples=1), FEW

    def problems(self, plan: Plan) -> Iterable[tuple[str, str]]:
        """Parts that do not fit: data that are not ids, a missing META, a weight of the regulariser that is ignored."""
        dataset = plan.parts["dataset"]
        if dataset.form != "ids":
            yield "dataset.use", f"expected a dataset of ids, got one of {dataset.form!r} data"
        elif self.read == "meta" and not dataset.marked:
            got = plan.document["dataset"]["use"]
            yield "experiment.read", f"expected a dataset with METAs to read at one, such as 'with-metas', got {got!r}"
        if self.read == "case" and not (isinstance(dataset, KnownJoint) and self.distance == 1):
            got = plan.document["dataset"]["use"]
            yield (
                "experiment.read",
                f"expected a dataset of known distribution, such as 'lists', and a distance of 1 to read cases, "
                f"got {got!r} and {self.distance}",
            )
        if (weight := plan.parts["regularizer"].weight) != 1:
            message = f"expected 1, as experiment.weights are the weights of the regulariser, got {weight!r}"
            yield "regularizer.weight", message
        if (every := plan.parts["regularizer"].every) != 1:
            yield "regularizer.every", f"expected 1, as each step of a probe has the regulariser, got {every}"
