"""Spec of the study of latent reasoning, free of torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import attrs

from crt_latent.text_chunks.spec import TextChunks
from crtcore.kinds import ExperimentSpec, Figure, Role
from crtcore.spec import at_least, each

if TYPE_CHECKING:
    from crtcore.kinds import Outline, Plan, Step


@attrs.frozen(kw_only=True)
class LatentReasoning(ExperimentSpec):
    """Train a prior on reasoning traces in one form, let it answer held-out problems, and count what that took.

    Where the form has learned codes, a tokenizer is trained first. Answers are judged by solving the problem; one that
    does not end within the length of the longest row is wrong.
    Source: Su et al. (2025), arXiv:2502.03275.
    """

    implementation: ClassVar[str] = "crt_latent.reasoning.experiment:ReasoningExperiment"
    roles: ClassVar[Mapping[str, Role]] = {
        "dataset": Role("dataset"),
        "tokenizer": Role("tokenizer"),
        "bottleneck": Role("bottleneck"),
        "regularizer": Role("regularizer", many=True, optional=True),
        "prior": Role("prior"),
        "decoder": Role("decoder"),
    }
    stages: ClassVar[Mapping[str, str]] = {"tokenizer": "tokenizer", "prior": "prior"}
    figures: ClassVar[tuple[Figure, ...]] = (
        Figure(across="replaced", lines="arm", numbers=("accuracy", "tokens", "saving_mechanical")),
    )

    trace: Literal["answer-only", "cot", "stripped", "pause", "icot", "latent"] = "latent"
    """What stands between prompt and solution: nothing, the steps, the steps without their fillers, one symbol as often
    as there would be codes, steps that are taken away in the course of training, or codes and then text."""
    codes: Literal["learned", "shuffled", "hash"] = "learned"
    """Whose codes: the tokenizer's, the same exchanged between problems, or a fixed hash of each chunk."""
    replacement: Literal["randomised", "all", "curriculum", "poisson"] = "randomised"
    """Which chunks of a trace become codes."""
    ceilings: tuple[int, ...] = attrs.field(default=(0, 72, 128, 160, 192, 224, 256), validator=each(at_least(0)))
    """Most ids that `randomised` and `poisson` replace, one of which is drawn first; the source's, for long traces."""
    tested: int = attrs.field(default=0, validator=at_least(0))
    """Test problems that are answered; 0 is all."""

    def trains(self, stage: str) -> bool:
        """Whether a run trains a stage: the tokenizer where codes are learned, and the prior."""
        return stage != "tokenizer" or (self.trace == "latent" and self.codes != "hash")

    def step(self, stage: str, plan: Plan, data: Outline) -> Step | None:
        """A step of the prior over rows as wide as the widest trace, with codes and bracket in its vocabulary."""
        if stage != "prior":
            return None
        from crt_cost.stages import modelling

        alphabet = (data.vocabulary or 0) + (plan.parts["bottleneck"].build().vocabulary or 0) + 2
        return modelling(plan.parts["prior"], stage, plan.training["prior"], data, (alphabet, data.shape[-1]))

    def problems(self, plan: Plan) -> Iterable[tuple[str, str]]:
        """Parts that do not fit: data that are no traces, another tokenizer, a prior or decoder not for this."""
        dataset, tokenizer = plan.parts["dataset"], plan.parts["tokenizer"]
        if dataset.form != "trace":
            yield "dataset.use", f"expected a dataset of reasoning traces, got one of {dataset.form!r} data"
        if not isinstance(tokenizer, TextChunks):
            got = plan.document["tokenizer"]["use"]
            yield "tokenizer.use", f"expected a tokenizer of chunks, as 'text-chunks' is, got {got!r}"
        if plan.parts["prior"].pretrained:
            yield "prior.use", "expected a prior that is trained here, got one that brings its weights"
        if plan.sampling.temperature:
            yield (
                "sampling.temperature",
                f"expected 0, as answers are the likeliest ones, got {plan.sampling.temperature}",
            )
        if plan.parts["decoder"].drafts:
            yield "decoder.use", "expected a decoder that needs no draft, such as 'ancestral'"
