"""Spec of the study of latent reasoning, free of torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import attrs

from crt_latent.reasoning.meanings import MEANINGS
from crt_latent.text_chunks.spec import TextChunks
from crt_run.training.plans import tokenizer_stage
from crtcore.kinds import ExperimentSpec, Figure, Meaning, Role, StagePlan
from crtcore.spec import at_least, each

if TYPE_CHECKING:
    from crtcore.kinds import Plan


FEW = 16
"""Problems of a rehearsal: the steps of two may be shorter than a chunk."""


def has_learned_codes(trace: str, codes: str) -> bool:
    """Whether an arm's codes are those of a trained tokenizer."""
    return trace == "latent" and codes in ("learned", "shuffled")


@attrs.frozen(kw_only=True)
class LatentReasoning(ExperimentSpec):
    """Train a prior on reasoning traces in one form, and measure accuracy and length of its answers.

    If the form has learned codes, a tokenizer is trained first. Answers are checked by solving the problem; an answer
    that does not end within the length of the longest row is wrong.
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
    small: ClassVar[Mapping[str, Any]] = {
        "dataset": {"use": "affine-chain", "modulus": 5, "steps": 2, "verbosity": 10},
        "tokenizer": {"use": "text-chunks", "chunk": 16, "rate": 16, "width": 8, "heads": 2},
        "sampling": {"temperature": 0.0},
    }
    clocked: ClassVar[tuple[str, ...]] = ("tokenizer_seconds", "prior_seconds", "training_seconds")
    figures: ClassVar[tuple[Figure, ...]] = (
        Figure(across="tokens", lines="arm", numbers=("accuracy",), along="replaced"),
        Figure(across="replaced", lines="arm", numbers=("accuracy", "tokens", "saving_mechanical")),
    )
    meanings: ClassVar[Mapping[str, Meaning]] = MEANINGS

    trace: Literal["answer-only", "cot", "stripped", "pause", "icot", "latent"] = "latent"
    """Content between prompt and solution: nothing, the steps, the steps without fillers, one symbol for each code,
    steps that are removed in the course of training, or codes and then text."""
    codes: Literal["learned", "shuffled", "fixed", "prompt-hash", "hash", "ids-hash"] = "learned"
    """Codes: the tokenizer's, those of other problems, the same for every problem, or a hash of the prompt, of the
    chunk, or of the ids of the chunk that a code stands for."""
    replacement: Literal["randomised", "all", "curriculum", "poisson"] = "randomised"
    """Strategy of choosing the chunks of a trace that become codes."""
    ceilings: tuple[int, ...] = attrs.field(default=(0, 72, 128, 160, 192, 224, 256), validator=each(at_least(0)))
    """Limits of the ids that `randomised` and `poisson` replace, of which one is drawn; the source's values."""
    tested: int = attrs.field(default=0, validator=at_least(0))
    """Number of test problems; 0 is all."""

    def stage_plans(self, plan: Plan) -> list[StagePlan]:
        """The tokenizer, if codes are learned, and the prior."""
        first = [tokenizer_stage(plan)] if has_learned_codes(self.trace, self.codes) else []
        fields = ("trace", "codes", "replacement", "ceilings")
        prior = StagePlan(
            "prior", plan, plan.training["prior"],
            reads=(
                "seed", "dataset", "tokenizer", "bottleneck", *(f"experiment.{field}" for field in fields),
                "prior", "training.prior",
            ),
            objective="crt_latent.reasoning.training:prior_objective",
            material="crt_latent.reasoning.training:material", after=tuple(first),
        )  # fmt: skip
        return [*first, prior]

    def rehearsed(self) -> tuple[LatentReasoning, int]:
        """A few problems, of which two are answered."""
        return attrs.evolve(self, tested=2), FEW

    def problems(self, plan: Plan) -> Iterable[tuple[str, str]]:
        """Yields parts that do not fit: data without traces, other tokenizers, continuous codes, pretrained priors."""
        dataset, tokenizer = plan.parts["dataset"], plan.parts["tokenizer"]
        if dataset.form != "trace":
            yield "dataset.use", f"expected a dataset of reasoning traces, got {dataset.form!r} data"
        if not isinstance(tokenizer, TextChunks):
            got = plan.document["tokenizer"]["use"]
            yield "tokenizer.use", f"expected a tokenizer of chunks, such as 'text-chunks', got {got!r}"
        if plan.parts["bottleneck"].continuous:
            yield "bottleneck.use", "expected a discrete bottleneck (the prior models its ids), got a continuous one"
        if plan.parts["prior"].pretrained:
            yield "prior.use", "expected a prior that is trained here, got a pretrained one"
        if plan.sampling.temperature:
            yield (
                "sampling.temperature",
                f"expected 0, as answers are decoded greedily, got {plan.sampling.temperature}",
            )
        if plan.parts["decoder"].drafts:
            yield "decoder.use", "expected a decoder that needs no draft, such as 'ancestral'"
