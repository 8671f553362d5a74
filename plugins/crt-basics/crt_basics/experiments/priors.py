"""The priors of an experiment over the ids of a tokenizer: trained, pretrained, or made of the tokenizer's stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crt_run.training.derived import Derived
from crt_run.training.ids import coded, spread
from crt_run.training.objective import Inputs, trained
from crt_run.training.order import seeded
from crt_run.training.plans import around
from crtcore.kinds import Dataset, Plan, Run


def prior_at(path: str, plan: Plan, run: Run, dataset: Dataset, made: Mapping[str, Any]) -> Any:
    """The prior at a path of the plan, in evaluation mode; its stage is trained if that is not done yet.

    `made` is all that the tokenizer's stage, the first of the plan, has trained, by name.
    Raises: Stopped after a save; RunError if it cannot be trained, or not be made of these.
    """
    tokenizer = made["tokenizer"]
    prior: Any
    for stage in plan.stages:
        if stage.name == path:
            prior = trained(Inputs(stage, dataset, {"tokenizer": tokenizer}, run))
            return around(plan.only((path,))[path], prior, dataset.classes)
    with seeded(plan.seed, path):
        prior = plan.only((path,))[path].build(tokenizer.vocabulary, tokenizer.length, dataset.classes)
    if isinstance(prior, Derived):
        codes = coded(run, plan.stages[0], dataset, tokenizer, "train")
        regularizers = [part for name, part in made.items() if name.startswith("regularizer.")]
        prior.derive(tokenizer, regularizers, *codes.at(spread(dataset.sizes["train"])))
    return prior.to(run.device).eval()
