"""The nine kinds of component: a protocol and a spec base each."""

from collections.abc import Mapping

from crtcore.kinds.bottleneck import Bottleneck, BottleneckOutput, BottleneckSpec, DiscreteBottleneck
from crtcore.kinds.dataset import Batch, Dataset, DatasetSpec
from crtcore.kinds.decoder import Decoder, DecoderSpec, Generation, Request
from crtcore.kinds.executor import Done, Executor, ExecutorSpec, Json, Report, Work
from crtcore.kinds.experiment import Experiment, ExperimentSpec, Plan, Role, Run, Stage, StagePlan, digest
from crtcore.kinds.findings import Figure, Findings, Row, TradeOff
from crtcore.kinds.metric import Evidence, Meaning, Measurement, Metric, MetricSpec, Train
from crtcore.kinds.prior import Prior, PriorSpec, Session
from crtcore.kinds.regularizer import Regularizer, RegularizerOutput, RegularizerSpec
from crtcore.kinds.tokenizer import Encoded, KeepsStatistics, Tokenizer, TokenizerSpec
from crtcore.kinds.view import View
from crtcore.spec import Spec

KINDS: Mapping[str, type[Spec]] = {
    spec.kind: spec
    for spec in (
        TokenizerSpec, BottleneckSpec, PriorSpec, RegularizerSpec, DecoderSpec,
        DatasetSpec, MetricSpec, ExperimentSpec, ExecutorSpec,
    )
}  # fmt: skip
"""Kind to the base of its specs."""

__all__ = [
    "KINDS", "Batch", "Bottleneck", "BottleneckOutput", "BottleneckSpec", "Dataset", "DatasetSpec", "Decoder",
    "DecoderSpec", "DiscreteBottleneck", "Done", "Encoded", "Evidence", "Executor", "ExecutorSpec",
    "Experiment", "ExperimentSpec", "Figure", "Findings", "Generation", "Json", "KeepsStatistics", "Meaning",
    "Measurement", "Metric", "MetricSpec", "Plan", "Prior", "PriorSpec", "Regularizer", "RegularizerOutput",
    "RegularizerSpec", "Report", "Request", "Role", "Row", "Run", "Session", "Stage", "StagePlan", "Tokenizer",
    "TokenizerSpec", "TradeOff", "Train", "View", "Work", "digest",
]  # fmt: skip
