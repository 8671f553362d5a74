"""Specs of the experiments, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import attrs

from crtcore.kinds import (
    ExperimentSpec,
    Role,
    TradeOff,
)
from crtcore.spec import at_least

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crtcore.kinds import Plan


@attrs.frozen(kw_only=True)
class Compression(ExperimentSpec):
    """Train a tokenizer alone, and measure what its codes of held-out data cost and leave out.

    The rate is the bottleneck's own, so that it is one axis for ids and for continuous codes; a code that is drawn is
    drawn once a sample.
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

    def problems(self, plan: Plan) -> Iterable[tuple[str, str]]:
        """Parts that do not fit: another form of data."""
        dataset, tokenizer = plan.parts["dataset"], plan.parts["tokenizer"]
        if dataset.form != tokenizer.form:
            yield "tokenizer.use", f"expected a tokenizer of {dataset.form!r} data, got one of {tokenizer.form!r}"


@attrs.frozen(kw_only=True)
class TwoStage(ExperimentSpec):
    """Train a tokenizer, then a prior over its ids; draw ids, decode them, and score both stages on held-out data."""

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

    evaluations: int = attrs.field(default=10, validator=at_least(1))
    """Times a prior is scored on validation data while it trains; the best one is kept."""
    samples: int = attrs.field(default=0, validator=at_least(0))
    """Test samples that are scored, and training samples that metrics see, evenly spaced in their splits; 0 is all."""

    def problems(self, plan: Plan) -> Iterable[tuple[str, str]]:
        """Parts that do not fit: another form of data, a decoder without its draft."""
        dataset, tokenizer, decoder = plan.parts["dataset"], plan.parts["tokenizer"], plan.parts["decoder"]
        if dataset.form != tokenizer.form:
            yield "tokenizer.use", f"expected a tokenizer of {dataset.form!r} data, got one of {tokenizer.form!r}"
        if decoder.drafts and plan.parts["draft"] is None:
            yield "draft", "expected a table [draft]: this decoder needs a draft prior"
