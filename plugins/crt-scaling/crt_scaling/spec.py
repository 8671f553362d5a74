"""Spec of the scaling study, free of torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from crt_basics.experiments.specs import form_problems
from crt_basics.metrics.specs import KernelDistance
from crt_run.training.plans import tokenizer_stage
from crt_scaling.meanings import MEANINGS
from crtcore.kinds import ExperimentSpec, Figure, Meaning, Role, StagePlan
from crtcore.spec import FieldError, at_least, below

if TYPE_CHECKING:
    from crtcore.kinds import Plan
    from crtcore.settings import Training

BASELINE, REGULARIZED = "baseline", "regularized"
"""The two tokenizers."""
COOLDOWN = 0.2
"""Share of a training in which its learning rate falls to 0."""


def branch(length: int) -> int:
    """The step at which the cool-down of a training of `length` steps begins."""
    return length - max(1, round(COOLDOWN * length))


def _rising(_: object, attribute: attrs.Attribute[Any], value: tuple[int, ...]) -> None:
    if any(length < 2 for length in value) or any(one >= other for one, other in itertools.pairwise(value)):
        raise FieldError(attribute.name, f"expected rising numbers of steps, at least 2 each, got {value!r}")


@attrs.frozen(kw_only=True)
class Scaling(ExperimentSpec):
    """Train priors of several sizes for several lengths, over a tokenizer with and without its regularisers.

    Each prior is trained once at a constant learning rate; each length is a cool-down of its last fifth that branches
    off that training. Loss, two-part code length and the distance of draws are reported against the FLOPs of stage 2,
    with the power law of the compute-optimal frontier and the compute that the regularisers save.
    Source: Ramanujan et al. (2024), arXiv:2412.16326; the cool-downs from Hägele et al. (2024), arXiv:2405.18392.
    """

    implementation: ClassVar[str] = "crt_scaling.experiment:ScalingExperiment"
    roles: ClassVar[Mapping[str, Role]] = {
        "dataset": Role("dataset"),
        "tokenizer": Role("tokenizer"),
        "bottleneck": Role("bottleneck"),
        "regularizer": Role("regularizer", many=True),
        "prior": Role("prior", many=True),
        "decoder": Role("decoder"),
    }
    stages: ClassVar[Mapping[str, str]] = {"tokenizer": "tokenizer", "prior": "prior"}
    small: ClassVar[Mapping[str, Any]] = {"training": {"prior": {"optimizer": {"decay": "constant", "warmup": 0.0}}}}
    figures: ClassVar[tuple[Figure, ...]] = (
        Figure(
            across="flops",
            lines="tokenizer",
            numbers=("best_two_part_code_length_bits", "best_generation_frechet"),
            log=True,
        ),
        Figure(
            across="flops",
            lines="parameters",
            numbers=(
                "id_code_length_bits",
                "two_part_code_length_bits",
                "generation_frechet",
                "generation_kernel_distance",
            ),
            columns=("tokenizer",),
            log=True,
        ),
    )
    meanings: ClassVar[Mapping[str, Meaning]] = MEANINGS

    shorter: tuple[int, ...] = attrs.field(default=(), validator=_rising)
    """Training lengths of a prior, in steps, in addition to that of `[training.prior]`."""
    discount: float = attrs.field(default=0.05, validator=[at_least(0), below(1)])
    """Share of the tokenizer's steps that regularised training omits, for the compute that regularisers take."""
    dimensions: int = attrs.field(default=24, validator=at_least(1))
    """Principal components of the training data in which distances of draws are measured."""

    def lengths(self, training: Training) -> tuple[int, ...]:
        """Every training length of a prior, in steps."""
        return *self.shorter, training.steps

    def stage_plans(self, plan: Plan) -> list[StagePlan]:
        """Each tokenizer, then all priors over its ids with their cool-downs."""
        training = plan.training["prior"]
        lengths = self.lengths(training)
        total = branch(lengths[-1]) + sum(length - branch(length) for length in lengths)
        stages = []
        for name, own in self.variants(plan).items():
            tokenizer = tokenizer_stage(own, f"{name}-tokenizer")
            stages.append(tokenizer)
            for index in range(len(plan.parts["prior"])):
                prior = StagePlan(
                    f"{name}-prior-{index}", own, training,
                    reads=("seed", "dataset", f"prior.{index}", "training.prior"),
                    objective="crt_scaling.cooled:prior_objective", after=(tokenizer,), total=total,
                )  # fmt: skip
                stages.append(prior)
        return stages

    def rehearsed(self) -> tuple[Scaling, int]:
        """One length of training, on as many samples as its distances need."""
        return attrs.evolve(self, shorter=()), KernelDistance(dimensions=self.dimensions).least

    def variants(self, plan: Plan) -> dict[str, Plan]:
        """The plan of each tokenizer: without regularisers, or with them and fewer steps."""
        steps, training = self.discounted(plan.training["tokenizer"].steps), plan.identity["training"]
        return {
            BASELINE: attrs.evolve(
                plan,
                parts={**plan.parts, "regularizer": ()},
                identity={name: value for name, value in plan.identity.items() if name != "regularizer"},
            ),
            REGULARIZED: attrs.evolve(
                plan,
                training={**plan.training, "tokenizer": attrs.evolve(plan.training["tokenizer"], steps=steps)},
                identity={
                    **plan.identity,
                    "training": {**training, "tokenizer": {**training["tokenizer"], "steps": steps}},
                },
            ),
        }

    def discounted(self, steps: int) -> int:
        """The steps of a tokenizer with regularisers."""
        return max(1, round(steps * (1 - self.discount)))

    def problems(self, plan: Plan) -> Iterable[tuple[str, str]]:
        """Parts that do not fit: data other than images, priors that are not trained, a schedule without a branch."""
        dataset = plan.parts["dataset"]
        if dataset.form != "image":
            yield "dataset.use", f"expected a dataset of images, got one of {dataset.form!r} data"
        else:
            yield from form_problems(plan)
        if plan.parts["decoder"].drafts:
            yield "decoder.use", "expected a decoder that needs no draft, such as 'ancestral'"
        for role in ("regularizer", "prior"):
            if not plan.parts[role]:
                yield role, f"expected at least one table [[{role}]], got none"
        for index, prior in enumerate(plan.parts["prior"]):
            if prior.pretrained:
                yield f"prior.{index}.use", "expected a prior that is trained here, got a pretrained one"
        yield from self._schedule_problems(plan.training["prior"])

    def _schedule_problems(self, training: Training) -> Iterable[tuple[str, str]]:
        optimizer = training.optimizer
        if optimizer.decay != "constant":
            message = f"expected 'constant', as the cool-downs bring the learning rate to 0, got {optimizer.decay!r}"
            yield "training.prior.optimizer.decay", message
        if self.shorter and self.shorter[-1] >= training.steps:
            yield (
                "experiment.shorter",
                f"expected less than training.prior.steps ({training.steps}), got {self.shorter!r}",
            )
        first = branch(self.lengths(training)[0])
        if (warmup := optimizer.warmup * training.steps) > first:
            message = f"expected the warm-up to end by the first cool-down (step {first}), got one of {warmup} steps"
            yield "training.prior.optimizer.warmup", message
