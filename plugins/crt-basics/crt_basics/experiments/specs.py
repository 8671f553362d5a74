"""Specs of the experiments, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from crt_basics.meanings import ACCEPTANCE, CALLS, CODES, RATE, RECONSTRUCTION
from crt_run.training.plans import bare, code_prior_stages, tokenizer_stage
from crtcore.kinds import ExperimentSpec, Meaning, Role, TradeOff
from crtcore.spec import Spec, at_least

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crtcore.kinds import Plan, StagePlan


def form_problems(plan: Plan) -> Iterable[tuple[str, str]]:
    """The path and the message of a tokenizer whose form of data is not the dataset's."""
    dataset, tokenizer = plan.parts["dataset"], plan.parts["tokenizer"]
    if dataset.form != tokenizer.form:
        yield "tokenizer.use", f"expected a tokenizer of {dataset.form!r} data, got one of {tokenizer.form!r}"


def continuous_problems(plan: Plan) -> Iterable[tuple[str, str]]:
    """The path and the message of a bottleneck without ids, where a prior models them."""
    if plan.parts["bottleneck"].continuous:
        yield (
            "bottleneck.use",
            "expected a discrete bottleneck (the prior models its ids), got a continuous one; "
            "choose another, or the experiment 'compression', which trains no prior",
        )


def named(table: Mapping[str, Any], spec: Spec) -> str:
    """A name for a part: its component, with the settings that differ from the component's defaults."""
    defaults = {field.name: field.default for field in attrs.fields(type(spec))}
    own = [f"{name}={table[name]}" for name in defaults if name in table and getattr(spec, name) != defaults[name]]
    return " ".join([table["use"], *own])


@attrs.frozen(kw_only=True)
class Compression(ExperimentSpec):
    """Train a tokenizer alone, and measure the rate and the distortion of held-out data.

    The rate is the bottleneck's own, so that discrete and continuous codes share one axis; a stochastic code is drawn
    once a sample.
    """

    implementation: ClassVar[str] = "crt_basics.experiments.compression:CompressionExperiment"
    roles: ClassVar[Mapping[str, Role]] = {
        "dataset": Role("dataset"),
        "tokenizer": Role("tokenizer"),
        "bottleneck": Role("bottleneck"),
        "regularizer": Role("regularizer", many=True, optional=True),
    }
    stages: ClassVar[Mapping[str, str]] = {"tokenizer": "tokenizer"}
    trade_offs: ClassVar[tuple[TradeOff, ...]] = (
        TradeOff(across="rate_nats", up="distortion", joined="bottleneck.use"),
    )
    meanings: ClassVar[Mapping[str, Meaning]] = {**RATE, **RECONSTRUCTION}

    def stage_plans(self, plan: Plan) -> list[StagePlan]:
        """The tokenizer."""
        return [tokenizer_stage(plan)]

    def problems(self, plan: Plan) -> Iterable[tuple[str, str]]:
        """Parts that do not fit: a tokenizer of another form of data."""
        yield from form_problems(plan)


@attrs.frozen(kw_only=True)
class TwoStage(ExperimentSpec):
    """Train a tokenizer, then a prior over its ids; generate and decode ids, and score both stages on held-out data."""

    implementation: ClassVar[str] = "crt_basics.experiments.two_stage:TwoStageExperiment"
    roles: ClassVar[Mapping[str, Role]] = {
        "dataset": Role("dataset"),
        "tokenizer": Role("tokenizer"),
        "bottleneck": Role("bottleneck"),
        "regularizer": Role("regularizer", many=True, optional=True),
        "prior": Role("prior"),
        "draft": Role("prior", optional=True),
        "decoder": Role("decoder"),
        "metric": Role("metric", many=True, optional=True),
    }
    stages: ClassVar[Mapping[str, str]] = {"tokenizer": "tokenizer", "prior": "prior", "draft": "draft"}
    small: ClassVar[Mapping[str, Any]] = {"metric": [{"use": "code-length"}, {"use": "frechet"}]}
    trade_offs: ClassVar[tuple[TradeOff, ...]] = (
        TradeOff(across="data_given_ids_bits", up="id_code_length_bits", summed=True),
        TradeOff(across="reconstruction_frechet", up="generation_frechet", floor="frechet_floor"),
    )
    meanings: ClassVar[Mapping[str, Meaning]] = {**RECONSTRUCTION, **CODES, **CALLS}

    evaluations: int = attrs.field(default=10, validator=at_least(1))
    """How often a prior is validated while it trains; the best weights are kept."""
    samples: int = attrs.field(default=0, validator=at_least(0))
    """Test samples to score, and training samples that metrics see, evenly spaced in their splits; 0 is all."""

    def stage_plans(self, plan: Plan) -> list[StagePlan]:
        """The tokenizer, and the priors that are not pretrained."""
        tokenizer = tokenizer_stage(plan)
        return [
            tokenizer,
            *(stage for role in ("prior", "draft") for stage in code_prior_stages(plan, role, tokenizer)),
        ]

    def problems(self, plan: Plan) -> Iterable[tuple[str, str]]:
        """Parts that do not fit: another form of data, continuous codes, a decoder without its draft."""
        yield from form_problems(plan)
        yield from continuous_problems(plan)
        if plan.parts["decoder"].drafts and plan.parts["draft"] is None:
            yield "draft", "expected a table [draft]: this decoder needs a draft prior"


@attrs.frozen(kw_only=True)
class Drafting(ExperimentSpec):
    """Train a tokenizer, a prior over its ids and drafts of it; draw ids with every draft and every decoder.

    Every pair of a draft and a decoder is a point. A decoder without a draft is one point. The metrics see what the
    first pair draws, as all draw from the same distribution.
    """

    implementation: ClassVar[str] = "crt_basics.experiments.drafting:DraftingExperiment"
    roles: ClassVar[Mapping[str, Role]] = {
        "dataset": Role("dataset"),
        "tokenizer": Role("tokenizer"),
        "bottleneck": Role("bottleneck"),
        "regularizer": Role("regularizer", many=True, optional=True),
        "prior": Role("prior"),
        "draft": Role("prior", many=True),
        "decoder": Role("decoder", many=True),
        "metric": Role("metric", many=True, optional=True),
    }
    stages: ClassVar[Mapping[str, str]] = {"tokenizer": "tokenizer", "prior": "prior", "draft": "draft"}
    small: ClassVar[Mapping[str, Any]] = {"metric": [{"use": "code-length"}]}
    trade_offs: ClassVar[tuple[TradeOff, ...]] = (
        TradeOff(across="data_given_ids_bits", up="id_code_length_bits", summed=True),
    )
    meanings: ClassVar[Mapping[str, Meaning]] = {**RECONSTRUCTION, **CODES, **CALLS, **ACCEPTANCE}

    evaluations: int = attrs.field(default=10, validator=at_least(1))
    """How often a prior is validated while it trains; the best weights are kept."""
    samples: int = attrs.field(default=0, validator=at_least(0))
    """Test samples to draw ids for, and training samples that metrics see, evenly spaced in their splits; 0 is all."""

    def stage_plans(self, plan: Plan) -> list[StagePlan]:
        """The tokenizer, and the priors that are not pretrained."""
        tokenizer = tokenizer_stage(plan)
        drafts = [f"draft.{place}" for place, spec in enumerate(plan.parts["draft"]) if not bare(spec).pretrained]
        paths = (["prior"] if "prior" in plan.training else []) + drafts
        return [tokenizer, *(stage for path in paths for stage in code_prior_stages(plan, path, tokenizer))]

    def problems(self, plan: Plan) -> Iterable[tuple[str, str]]:
        """Parts that do not fit: another form of data, continuous codes, no draft or no decoder."""
        yield from form_problems(plan)
        yield from continuous_problems(plan)
        for role in ("draft", "decoder"):
            if not (parts := plan.parts[role]):
                yield role, f"expected one or more tables [[{role}]], got none"
            for place, part in enumerate(parts):
                if part in parts[:place]:
                    twice = named(plan.document[role][place], part)
                    yield role, f"expected {role}s that differ, got one twice: {twice}"
