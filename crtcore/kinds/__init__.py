"""The nine kinds of component: a protocol and a spec base each."""

from collections.abc import Mapping

from crtcore.kinds.bottleneck import Bottleneck, BottleneckOutput, BottleneckSpec, DiscreteBottleneck
from crtcore.kinds.dataset import Batch, Dataset, DatasetSpec
from crtcore.kinds.decoder import Decoder, DecoderSpec, Generation, Request
from crtcore.kinds.executor import Done, Executor, ExecutorSpec, Json, Report, Work
from crtcore.kinds.experiment import Experiment, ExperimentSpec, Outline, Plan, Role, Run, Stage, Step, digest
from crtcore.kinds.findings import Figure, Findings, Row, TradeOff
from crtcore.kinds.metric import Evidence, Measurement, Metric, MetricSpec
from crtcore.kinds.prior import Prior, PriorSpec, Session, Trunk
from crtcore.kinds.regularizer import Regularizer, RegularizerOutput, RegularizerSpec
from crtcore.kinds.tokenizer import Encoded, KeepsStatistics, Tokenizer, TokenizerSpec
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
    "DecoderSpec", "DiscreteBottleneck", "Done", "Encoded", "Evidence", "Executor", "ExecutorSpec", "Experiment",
    "ExperimentSpec", "Figure", "Findings", "Generation", "Json", "KeepsStatistics", "Measurement", "Metric",
    "MetricSpec", "Outline", "Plan", "Prior", "PriorSpec", "Regularizer", "RegularizerOutput", "RegularizerSpec",
    "Report", "Request", "Role", "Row", "Run", "Session", "Stage", "Step", "Tokenizer", "TokenizerSpec", "TradeOff",
    "Trunk", "Work", "digest",
]  # fmt: skip
