"""Spec of the study of a pretrained model's states, free of torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from crt_run.training.plans import prior_stages
from crt_vib.rate_distortion.spec import different, rising
from crt_vib.state_codes.meanings import MEANINGS
from crtcore.kinds import ExperimentSpec, Figure, Meaning, Role, StagePlan
from crtcore.spec import FieldError, at_least, each

if TYPE_CHECKING:
    from crtcore.kinds import Plan

Place = Literal["last", "before", "mean", "appended"]
WHERE = ("dataset", *(f"experiment.{name}" for name in ("first", "stride", "reach")))
"""What determines the ids at which states are read."""
FEW = 4
"""Windows of a rehearsal."""


def _kept(spec: StateCodes, attribute: attrs.Attribute[Any], value: int) -> None:
    if value not in spec.layers:
        raise FieldError(attribute.name, f"expected one of `layers`, {list(spec.layers)!r}, got {value!r}")


def _within(spec: StateCodes, attribute: attrs.Attribute[Any], value: int) -> None:
    if value > spec.reach:
        raise FieldError(attribute.name, f"expected at most `reach`, {spec.reach!r}, got {value!r}")


def _behind(spec: StateCodes, attribute: attrs.Attribute[Any], value: int) -> None:
    if value > spec.first + 1:
        raise FieldError(attribute.name, f"expected at most `first` + 1, {spec.first + 1!r}, got {value!r}")


@attrs.frozen(kw_only=True)
class StateCodes(ExperimentSpec):
    """Measures what codes of a pretrained model's states hold about ids ahead of them, at each rate.

    Windows of ids are read by the frozen model. At some ids of each window, a bottleneck reads a state of one layer and
    place, and its codes predict the id at a distance, by a linear map to the rows of the model's output layer. States
    are read once and stored; runs that differ by layer, place, distance, seed or weights share them. Intervals are over
    held-out windows; those of the information in codes are over states, as if these were independent. Where the
    distance is 1, the codes also predict the model's own distribution, beside the best codes of it that Blahut-Arimoto
    finds.
    Source: Shah et al. (2025), arXiv:2509.16278; Alemi et al. (2017), arXiv:1612.00410; Tishby, Pereira and Bialek
    (1999), physics/0004057.
    """

    implementation: ClassVar[str] = "crt_vib.state_codes.experiment:StateCodesExperiment"
    roles: ClassVar[Mapping[str, Role]] = {
        "dataset": Role("dataset"),
        "prior": Role("prior"),
        "bottleneck": Role("bottleneck"),
        "regularizer": Role("regularizer"),
    }
    stages: ClassVar[Mapping[str, str]] = {"prior": "prior", "appended": "bottleneck", "bottleneck": "bottleneck"}
    small: ClassVar[Mapping[str, Any]] = {
        "dataset": {"use": "lists", "lists": 2, "items": 1, "symbols": 4, "noise": 0.2},
        "prior": {"use": "meta-transformer", "layers": 2, "width": 16, "heads": 2},
        "bottleneck": {"use": "gaussian", "width": 16, "latent": 4},
        "regularizer": {"use": "rate"},
    }
    figures: ClassVar[tuple[Figure, ...]] = (
        Figure(
            across="rate_nats",
            lines="arm",
            numbers=("distortion_nats",),
            along="weight",
            references=("floor_nats",),
        ),
        Figure(
            across="own_rate_nats",
            lines="arm",
            numbers=("own_distortion_nats",),
            along="weight",
            references=("own_bound_nats",),
        ),
    )
    meanings: ClassVar[Mapping[str, Meaning]] = MEANINGS

    weights: tuple[float, ...] = attrs.field(validator=[each(at_least(0)), different])
    """Weights of the regulariser: each gives a bottleneck and a point of the curve."""
    layers: tuple[int, ...] = attrs.field(validator=[each(at_least(1)), different])
    """Layers whose states are stored: a state of layer k is the stream after k blocks."""
    layer: int = attrs.field(validator=_kept)
    """The layer that is read, one of `layers`."""
    place: Place = "last"
    """Where its state is read: at the last id, at the one before it, the mean over the last `recent` ids, or at a token
    appended after the last id, whose embedding is trained first to predict the answer by the model's own output
    layer."""
    distance: int = attrs.field(default=1, validator=[at_least(1), _within])
    """Ids from the last one to the answer."""
    recent: int = attrs.field(default=8, validator=[at_least(1), _behind])
    """Ids that `place = "mean"` averages over."""
    first: int = attrs.field(default=31, validator=at_least(1))
    """Index of the first id of a window that is a last one."""
    stride: int = attrs.field(default=8, validator=at_least(1))
    """Ids from one last id of a window to the next."""
    reach: int = attrs.field(default=8, validator=at_least(1))
    """The largest distance: the last ids of a window, as many as this, are answers alone."""
    answers: int = attrs.field(default=0, validator=at_least(0))
    """The ids that follow most often in training windows have a class of their own, as many as this; all others share
    one. 0: every id of the vocabulary has its own."""
    contexts: int = attrs.field(default=512, validator=at_least(2))
    """Most held-out contexts, evenly spaced, for the best codes of the model's own distribution."""
    betas: tuple[float, ...] = attrs.field(
        default=(0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), validator=[each(at_least(1e-3)), different]
    )
    """Slopes at which they are sought."""
    iterations: int = attrs.field(default=100, validator=at_least(1))
    """Most iterations of Blahut-Arimoto for a slope."""
    train: int = attrs.field(default=1_200, validator=at_least(2))
    """Most windows to train on."""
    validation: int = attrs.field(default=150, validator=at_least(2))
    """Most held-out windows to score a bottleneck on while it trains; the best one is kept."""
    test: int = attrs.field(default=400, validator=at_least(2))
    """Most held-out windows for the final numbers."""
    samples: int = attrs.field(default=4, validator=at_least(1))
    """Codes drawn for each of their states."""
    between: tuple[float, float] = attrs.field(default=(0.5, 2.0), validator=rising)
    """Rates in nats between which the mean distortion is taken."""
    evaluations: int = attrs.field(default=10, validator=at_least(1))
    """Number of validations of each part while it trains."""

    def stage_plans(self, plan: Plan) -> list[StagePlan]:
        """The model, if it is not pretrained, the appended token's embedding, if it is read, and the bottlenecks."""
        first = self._before(plan)
        fields = ("layers", "layer", "place", "distance", "recent", "answers", "evaluations")
        bottleneck = StagePlan(
            "bottleneck", plan, plan.training["bottleneck"],
            reads=(
                "seed", *self._where(plan), *(f"experiment.{field}" for field in fields), "bottleneck", "regularizer",
                "training.bottleneck",
            ),
            objective="crt_vib.state_codes.probes:probe_objective",
            material="crt_vib.state_codes.probes:material",
            after=tuple(first), repeats=self.weights,
        )  # fmt: skip
        return [*first, bottleneck]

    def states_stage(self, plan: Plan) -> StagePlan:
        """What stored states depend on; nothing is trained there."""
        appended = self.place == "appended"
        own = ("experiment.layers", "experiment.recent", "experiment.answers", "experiment.test")
        return StagePlan(
            "appended-states" if appended else "states", plan, plan.training["bottleneck"],
            reads=(*self._where(plan), *own), objective="", after=tuple(self._before(plan)),
        )  # fmt: skip

    def codes_stage(self, plan: Plan) -> StagePlan:
        """What the best codes of the model's own distribution depend on; nothing is trained there."""
        own = ("answers", "test", "contexts", "betas", "iterations")
        return StagePlan(
            "best-codes", plan, plan.training["bottleneck"],
            reads=(*self._where(plan), *(f"experiment.{name}" for name in own)), objective="",
            after=tuple(prior_stages(plan, "prior")),
        )  # fmt: skip

    def _before(self, plan: Plan) -> list[StagePlan]:
        """What is trained before states are read. The appended token has no seed: all seeds read the same states."""
        first = prior_stages(plan, "prior")
        if self.place != "appended":
            return first
        appended = StagePlan(
            "appended", plan, plan.training["appended"],
            reads=(*self._where(plan), "experiment.distance", "training.appended"),
            objective="crt_vib.state_codes.appended:appended_objective", after=tuple(first),
        )  # fmt: skip
        return [*first, appended]

    def _where(self, plan: Plan) -> tuple[str, ...]:
        """The settings that say what is read."""
        rows = ("experiment.train", "experiment.validation")
        return (*WHERE, *rows, *([] if prior_stages(plan, "prior") else ["prior"]))

    def rehearsed(self) -> tuple[StateCodes, int]:
        """One weight on a few windows."""
        return attrs.evolve(self, weights=self.weights[:1], samples=1, contexts=4, iterations=2), FEW

    def problems(self, plan: Plan) -> Iterable[tuple[str, str]]:
        """Parts that do not fit: data that are not ids, a weight that is ignored."""
        if plan.parts["dataset"].form != "ids":
            yield "dataset.use", f"expected a dataset of ids, got one of {plan.parts['dataset'].form!r} data"
        if (weight := plan.parts["regularizer"].weight) != 1:
            message = f"expected 1, as experiment.weights are the weights of the regulariser, got {weight!r}"
            yield "regularizer.weight", message
        if (every := plan.parts["regularizer"].every) != 1:
            yield "regularizer.every", f"expected 1, as each step of a probe has the regulariser, got {every}"
