"""The smallest sound experiment that trains: a prior over rows of ids, and its logits for the first id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs
import torch

from crt_run.training.plans import prior_stages
from crt_run.training.stages import build_dataset, prior_of
from crtcore.kinds import ExperimentSpec, Figure, Findings, Measurement, Plan, Role, Row, Run, StagePlan
from crtcore.spec import at_least


@attrs.frozen(kw_only=True)
class Learn(ExperimentSpec):
    """Trains a prior, and reports the logits of the first id."""

    implementation: ClassVar[str] = "crt_laws.toy_experiment:Learning"
    roles: ClassVar[Mapping[str, Role]] = {"dataset": Role("dataset"), "prior": Role("prior")}
    stages: ClassVar[Mapping[str, str]] = {"prior": "prior"}
    figures: ClassVar[tuple[Figure, ...]] = (Figure(across="id", lines="arm", numbers=("logit",)),)
    small: ClassVar[Mapping[str, Any]] = {"dataset": {"use": "laws-runs"}}

    evaluations: int = attrs.field(default=2, validator=at_least(1))
    """How often the prior is validated while it trains."""

    def stage_plans(self, plan: Plan) -> Sequence[StagePlan]:
        """The prior."""
        return prior_stages(plan, "prior")


class Learning:
    """Trains the prior in its stage, then reads it."""

    def __init__(self, spec: Learn) -> None:
        self.spec = spec

    def __call__(self, plan: Plan, run: Run) -> Findings:
        """A point for each id, and the largest logit."""
        prior = prior_of("prior", plan, run, build_dataset(plan, run))
        with torch.inference_mode():
            logits = prior(torch.empty(1, 0, dtype=torch.int64))[0, 0].tolist()
        rows = [Row({"id": place}, {"logit": Measurement(logit, "nats", 1)}) for place, logit in enumerate(logits)]
        return Findings({"largest": Measurement(max(logits), "nats", 1)}, rows, outcomes={"largest": [max(logits)]})
