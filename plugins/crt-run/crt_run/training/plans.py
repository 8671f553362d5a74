"""Plans of the stages that experiments share, free of torch: a tokenizer, and priors over ids."""

from __future__ import annotations

from crtcore.kinds import Plan, StagePlan

_STAGES = "crt_run.training.stages"


def tokenizer_stage(plan: Plan, name: str = "tokenizer") -> StagePlan:
    """The training of a plan's tokenizer with its regularisers."""
    return StagePlan(
        name, plan, plan.training["tokenizer"],
        reads=("seed", "dataset", "tokenizer", "bottleneck", "regularizer", "training.tokenizer"),
        objective=f"{_STAGES}:tokenizer_objective",
    )  # fmt: skip


def code_prior_stages(plan: Plan, path: str, tokenizer: StagePlan) -> list[StagePlan]:
    """The training of a prior over a tokenizer's ids; none if there is no such part, or it is pretrained.

    `path` is a role, or one of many parts of a role, such as `draft.0`; these share the settings of its training.
    """
    role = path.partition(".")[0]
    return [
        StagePlan(
            path, plan, plan.training[role],
            reads=("seed", "dataset", "experiment.evaluations", path, f"training.{role}"),
            objective=f"{_STAGES}:code_prior_objective", after=(tokenizer,),
        )
        for _ in range(role in plan.training)
    ]  # fmt: skip


def prior_stages(plan: Plan, role: str) -> list[StagePlan]:
    """The training of a role's prior over a dataset of ids; none if there is no such part, or it is pretrained."""
    return [
        StagePlan(
            role, plan, plan.training[role],
            reads=("seed", "dataset", "experiment.evaluations", role, f"training.{role}"),
            objective=f"{_STAGES}:prior_objective",
        )
        for _ in range(role in plan.training)
    ]  # fmt: skip
