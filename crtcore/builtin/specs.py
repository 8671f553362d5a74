"""Specs of the built-in components, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import attrs

from crtcore.kinds import (
    BottleneckSpec,
    DatasetSpec,
    DecoderSpec,
    ExperimentSpec,
    MetricSpec,
    PriorSpec,
    Role,
    TradeOff,
)
from crtcore.spec import FieldError, at_least, between, each

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crtcore.kinds import Plan


@attrs.frozen(kw_only=True)
class FSQ(BottleneckSpec):
    """Finite scalar quantisation: every channel rounded to a few levels.

    Source: Mentzer et al. (2023), arXiv:2309.15505, section 3.
    """

    implementation: ClassVar[str] = "crtcore.builtin.fsq:Grid"

    levels: tuple[int, ...] = attrs.field(default=(5, 5, 5), validator=each(at_least(2)))
    """Levels of each channel; their product is the vocabulary, their number the feature width."""


@attrs.frozen(kw_only=True)
class Table(PriorSpec):
    """A table of logits for every context of a few ids: exact, tiny, for laws and tests."""

    implementation: ClassVar[str] = "crtcore.builtin.table:table"

    order: int = attrs.field(default=2, validator=at_least(0))
    """Preceding ids that matter."""
    spread: float = attrs.field(default=1.0, validator=at_least(0))
    """Standard deviation of the logits it starts with."""


@attrs.frozen(kw_only=True)
class Saved(PriorSpec):
    """Another prior, with the weights that a finished stage left: nothing trains it further."""

    implementation: ClassVar[str] = "crtcore.builtin.saved:restored"
    pretrained: ClassVar[bool] = True

    folder: str
    """The stage's checkpoint, such as `runs/stages/prior/HASH/final`, from where the command is given."""
    prior: PriorSpec
    """The prior that was trained."""


def _weighted(_: object, attribute: attrs.Attribute[PriorSpec], value: PriorSpec) -> None:
    if not value.pretrained:
        message = f"expected a prior that brings its weights, such as 'saved', got {type(value).__name__}"
        raise FieldError(attribute.name, message)


def _ahead(_: object, attribute: attrs.Attribute[tuple[int, int]], value: tuple[int, int]) -> None:
    start, stop = value
    if start < 0 or (stop <= start and stop != 0):
        raise FieldError(attribute.name, f"expected two positions, the second beyond the first or 0, got {value!r}")


@attrs.frozen(kw_only=True)
class Guidance(PriorSpec):
    """Classifier-free guidance: another prior, drawn away from what it says of no class.

    It changes what is drawn and is no way to train: the prior inside brings its weights.
    Source: Ho and Salimans (2022), arXiv:2207.12598, eq. 6, where w is scale - 1.
    """

    implementation: ClassVar[str] = "crtcore.guided:guided"
    pretrained: ClassVar[bool] = True

    scale: float = attrs.field(validator=at_least(0))
    """Weight of the class's logits against those of no class; 1 is the prior itself, 0 leaves the class out."""
    interval: tuple[int, int] = attrs.field(default=(0, 0), validator=_ahead)
    """First position that is guided, and the one behind the last; there 0 is no end."""
    prior: PriorSpec = attrs.field(validator=_weighted)
    """The prior that is guided."""


@attrs.frozen(kw_only=True)
class Ancestral(DecoderSpec):
    """One id a call, from the prior's own law: what every other decoder must agree with."""

    implementation: ClassVar[str] = "crtcore.builtin.ancestral:ancestral"


@attrs.frozen(kw_only=True)
class Digits(DatasetSpec):
    """The 1,797 handwritten digits inside scikit-learn: 8 by 8 images, 17 grey levels, ten classes.

    Source: Alpaydin and Kaynak (1998), Optical recognition of handwritten digits, UCI.
    """

    implementation: ClassVar[str] = "crtcore.builtin.digits:DigitImages"
    form: ClassVar[str] = "image"

    validation: int = attrs.field(default=200, validator=at_least(1))
    """Images held out for choices; the same ones whatever the seed."""
    test: int = attrs.field(default=400, validator=at_least(1))
    """Images held out for the final numbers; the same ones whatever the seed."""


@attrs.frozen(kw_only=True)
class Shapes(DatasetSpec):
    """Generated colour scenes: one of five shapes in one of five colours, at any size and place over a dark background.

    Twenty-five classes, shape times colour; 256 levels. Sample i of a split depends on the seed, the split, i and the
    size of the images, so that more samples leave those that were there alone.
    """

    implementation: ClassVar[str] = "crtcore.builtin.shapes:ShapeScenes"
    form: ClassVar[str] = "image"

    train: int = attrs.field(default=8000, validator=at_least(1))
    """Images to train on."""
    validation: int = attrs.field(default=500, validator=at_least(1))
    """Images held out for choices."""
    test: int = attrs.field(default=1000, validator=at_least(1))
    """Images held out for the final numbers."""
    size: int = attrs.field(default=32, validator=between(8, 1024))
    """Pixels along each side."""
    seed: int = 0
    """Other scenes for another one; the run's own seed changes none."""


@attrs.frozen(kw_only=True)
class PythonSource(DatasetSpec):
    """The running Python's standard library without its tests: bytes of real source code, in windows.

    The splits hold whole files, by a hash of what is in them: about 90 % to train on, 5 % for validation, 5 % for test.
    A window that an earlier split has too, such as a licence, is left out of the later one.
    """

    implementation: ClassVar[str] = "crtcore.builtin.python_source:SourceWindows"
    form: ClassVar[str] = "ids"

    length: int = attrs.field(default=256, validator=at_least(2))
    """Bytes of a window; the last one of a file may be shorter."""


@attrs.frozen(kw_only=True)
class Frechet(MetricSpec):
    """Fréchet distance of Gaussians fitted to whitened principal components, with the real-against-real floor.

    The components come from the training data, so they are one and the same for every arm. Not an Inception FID.
    Source: Dowson and Landau (1982); Heusel et al. (2017), arXiv:1706.08500, eq. 6.
    """

    implementation: ClassVar[str] = "crtcore.builtin.frechet:FrechetDistance"

    dimensions: int = attrs.field(default=24, validator=at_least(1))
    """Principal components; far fewer than the samples, as the estimate is biased by their number."""


@attrs.frozen(kw_only=True)
class KernelDistance(MetricSpec):
    """Squared kernel discrepancy in the features of `frechet`, without bias, with the real-against-real floor.

    The kernel is the cubic one of KID. Not an Inception KID.
    Source: Bińkowski et al. (2018), arXiv:1801.01401, section 4.
    """

    implementation: ClassVar[str] = "crtcore.builtin.kernel_distance:PolynomialDiscrepancy"

    dimensions: int = attrs.field(default=24, validator=at_least(1))
    """Principal components."""
    subsets: int = attrs.field(default=10, validator=at_least(2))
    """Parts of the held-out samples that a number and its interval are over; each of two samples at least."""


@attrs.frozen(kw_only=True)
class CodeLength(MetricSpec):
    """Two-part code length: bits for the ids plus bits for the data given the ids.

    The data given the ids is a discretised Gaussian about the reconstruction, its width fitted on training data.
    """

    implementation: ClassVar[str] = "crtcore.builtin.code_length:code_length"


@attrs.frozen(kw_only=True)
class Compression(ExperimentSpec):
    """Train a tokenizer alone, and measure what its codes of held-out data cost and leave out.

    The rate is the bottleneck's own, so that it is one axis for ids and for continuous codes; a code that is drawn is
    drawn once a sample.
    """

    implementation: ClassVar[str] = "crtcore.builtin.compression:CompressionExperiment"
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

    implementation: ClassVar[str] = "crtcore.builtin.two_stage:TwoStageExperiment"
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
