"""Plans of the stages that experiments share, free of torch: a tokenizer, and priors over ids."""

from __future__ import annotations

from typing import Any

import attrs

from crtcore.kinds import Plan, PriorSpec, StagePlan

_STAGES = "crt_run.training.stages"


def tokenizer_stage(plan: Plan, name: str = "tokenizer") -> StagePlan:
    """The training of a plan's tokenizer with its regularisers."""
    return StagePlan(
        name, plan, plan.training["tokenizer"],
        reads=("seed", "dataset", "tokenizer", "bottleneck", "regularizer", "training.tokenizer"),
        objective=f"{_STAGES}:tokenizer_objective",
    )  # fmt: skip


def bare(spec: PriorSpec) -> PriorSpec:
    """The prior that a stage trains: the one inside of those that are laid around it, such as guidance."""
    while isinstance(spec.pretrained, str):
        spec = getattr(spec, spec.pretrained)
    return spec


def around(spec: PriorSpec, prior: Any, classes: int | None) -> Any:
    """What `spec` describes, made of its bare prior by its method `around(prior, classes)`."""
    if not isinstance(spec.pretrained, str):
        return prior
    return spec.around(around(getattr(spec, spec.pretrained), prior, classes), classes)  # type: ignore[attr-defined]


def bared(plan: Plan, path: str) -> Plan:
    """A plan with the bare prior at `path`: its stage is that of a plan without anything around it."""
    role, _, place = path.partition(".")
    spec = plan.parts[role][int(place)] if place else plan.parts[role]
    if bare(spec) is spec:
        return plan
    made = []
    for tables in (plan.identity, plan.document):
        inside, each = spec, tables[role][int(place)] if place else tables[role]
        while isinstance(inside.pretrained, str):
            inside, each = getattr(inside, inside.pretrained), each[inside.pretrained]
        made.append({**tables, role: _with(tables[role], place, each)})
    parts = {**plan.parts, role: _with(plan.parts[role], place, bare(spec))}
    return attrs.evolve(plan, parts=parts, identity=made[0], document=made[1])


def _with(many: Any, place: str, one: Any) -> Any:
    """`many` with `one` at a place, or `one` where there is no place."""
    return type(many)(one if str(index) == place else each for index, each in enumerate(many)) if place else one


def code_prior_stages(plan: Plan, path: str, tokenizer: StagePlan) -> list[StagePlan]:
    """The training of a prior over a tokenizer's ids; none if there is no such part, or it is pretrained.

    `path` is a role, or one of many parts of a role, such as `draft.0`; these share the settings of its training.
    """
    role = path.partition(".")[0]
    return [
        StagePlan(
            path, bared(plan, path), plan.training[role],
            reads=("seed", "dataset", "experiment.evaluations", path, f"training.{role}"),
            objective=f"{_STAGES}:code_prior_objective", after=(tokenizer,),
        )
        for _ in range(role in plan.training)
    ]  # fmt: skip


def prior_stages(plan: Plan, role: str) -> list[StagePlan]:
    """The training of a role's prior over a dataset of ids; none if there is no such part, or it is pretrained."""
    return [
        StagePlan(
            role, bared(plan, role), plan.training[role],
            reads=("seed", "dataset", "experiment.evaluations", role, f"training.{role}"),
            objective=f"{_STAGES}:prior_objective",
        )
        for _ in range(role in plan.training)
    ]  # fmt: skip
