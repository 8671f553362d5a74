"""Spec of the experiment `text-codes`, free of torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from crt_latent.text_chunks.spec import TextChunks
from crt_latent.text_codes.meanings import MEANINGS
from crt_run.training.plans import bare, code_prior_stages, tokenizer_stage
from crtcore.kinds import ExperimentSpec, Meaning, Role, TradeOff
from crtcore.spec import at_least

if TYPE_CHECKING:
    from crtcore.kinds import Plan, StagePlan


@attrs.frozen(kw_only=True)
class TextCodes(ExperimentSpec):
    """Train a tokenizer of text, then a prior over its codes; measure what the codes cost and what they keep.

    The two-part code length prices both in one unit, bits for each id of the text, so that tokenizers of different
    accuracy can be compared. It is an upper bound for a receiver that has both models and the length of each text.
    """

    implementation: ClassVar[str] = "crt_latent.text_codes.experiment:TextCodesExperiment"
    roles: ClassVar[Mapping[str, Role]] = {
        "dataset": Role("dataset"),
        "tokenizer": Role("tokenizer"),
        "bottleneck": Role("bottleneck"),
        "regularizer": Role("regularizer", many=True, optional=True),
        "prior": Role("prior"),
    }
    stages: ClassVar[Mapping[str, str]] = {"tokenizer": "tokenizer", "prior": "prior"}
    small: ClassVar[Mapping[str, Any]] = {
        "dataset": {"use": "as-steps", "samples": 32, "dataset": {"use": "python-source", "length": 32}},
        "tokenizer": {"use": "text-chunks", "chunk": 8, "rate": 4, "width": 8, "heads": 2, "prompted": False},
    }
    trade_offs: ClassVar[tuple[TradeOff, ...]] = (
        TradeOff(across="text_given_codes_bits", up="code_bits", summed=True),
        TradeOff(across="reconstruction_accuracy", up="code_bits"),
    )
    meanings: ClassVar[Mapping[str, Meaning]] = MEANINGS

    evaluations: int = attrs.field(default=10, validator=at_least(1))
    """How often the prior is validated while it trains; the best weights are kept."""

    def stage_plans(self, plan: Plan) -> list[StagePlan]:
        """The tokenizer, then the prior."""
        tokenizer = tokenizer_stage(plan)
        return [tokenizer, *code_prior_stages(plan, "prior", tokenizer)]

    def problems(self, plan: Plan) -> Iterable[tuple[str, str]]:
        """Yields parts that do not fit: data without traces, other tokenizers, continuous codes, pretrained priors."""
        dataset, tokenizer = plan.parts["dataset"], plan.parts["tokenizer"]
        if dataset.form != "trace":
            yield (
                "dataset.use",
                f"expected a dataset of traces, got {dataset.form!r} data; 'as-steps' makes traces of rows of ids",
            )
        if not isinstance(tokenizer, TextChunks):
            got = plan.document["tokenizer"]["use"]
            yield "tokenizer.use", f"expected a tokenizer of chunks, such as 'text-chunks', got {got!r}"
        if plan.parts["bottleneck"].continuous:
            yield "bottleneck.use", "expected a discrete bottleneck (the prior models its ids), got a continuous one"
        if bare(plan.parts["prior"]).pretrained:
            yield "prior.use", "expected a prior that is trained here, got a pretrained one"
