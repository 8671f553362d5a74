"""Specs of the built-in components, free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import attrs

from crtcore.errors import RunError
from crtcore.kinds import (
    BottleneckSpec,
    DatasetSpec,
    DecoderSpec,
    ExecutorSpec,
    ExperimentSpec,
    MetricSpec,
    Prior,
    PriorSpec,
    Role,
    TradeOff,
)
from crtcore.spec import FieldError, at_least, between, each

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crtcore.builtin.ancestral import AncestralDecoder
    from crtcore.builtin.code_length import TwoPartCode
    from crtcore.builtin.compression import CompressionExperiment
    from crtcore.builtin.digits import DigitImages
    from crtcore.builtin.frechet import FrechetDistance
    from crtcore.builtin.fsq import Grid
    from crtcore.builtin.image_folder import FolderImages
    from crtcore.builtin.kernel_distance import PolynomialDiscrepancy
    from crtcore.builtin.local import LocalProcesses
    from crtcore.builtin.photos import PhotoCrops
    from crtcore.builtin.python_source import SourceWindows
    from crtcore.builtin.shapes import ShapeScenes
    from crtcore.builtin.table import TablePrior
    from crtcore.builtin.token_files import TokenWindows
    from crtcore.builtin.two_stage import TwoStageExperiment
    from crtcore.builtin.with_metas import MetaSamples
    from crtcore.experiment import Plan
    from crtcore.guided import Guided


@attrs.frozen(kw_only=True)
class FSQ(BottleneckSpec):
    """Finite scalar quantisation: every channel rounded to a few levels.

    Source: Mentzer et al. (2023), arXiv:2309.15505, section 3.
    """

    levels: tuple[int, ...] = attrs.field(default=(5, 5, 5), validator=each(at_least(2)))
    """Levels of each channel; their product is the vocabulary, their number the feature width."""

    def build(self) -> Grid:
        """The grid; it has no parameters."""
        from crtcore.builtin.fsq import Grid

        return Grid(self)


@attrs.frozen(kw_only=True)
class Table(PriorSpec):
    """A table of logits for every context of a few ids: exact, tiny, for laws and tests."""

    order: int = attrs.field(default=2, validator=at_least(0))
    """Preceding ids that matter."""
    spread: float = attrs.field(default=1.0, validator=at_least(0))
    """Standard deviation of the logits it starts with."""

    def build(self, vocabulary: int, length: int, condition: int | None) -> TablePrior:
        """A table of normal logits, (condition + 1) times (vocabulary + 1) to the power of the order."""
        from crtcore.builtin.table import TablePrior

        return TablePrior.random(self, vocabulary, condition)


@attrs.frozen(kw_only=True)
class Saved(PriorSpec):
    """Another prior, with the weights that a finished stage left: nothing trains it further."""

    pretrained: ClassVar[bool] = True

    folder: str
    """The stage's checkpoint, such as `runs/stages/prior/HASH/final`, from where the command is given."""
    prior: PriorSpec
    """The prior that was trained."""

    def build(self, vocabulary: int, length: int, condition: int | None) -> Prior:
        """The prior that was trained, for as many ids and classes as then."""
        from crtcore.builtin.saved import restored

        return restored(self, vocabulary, length, condition)


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

    pretrained: ClassVar[bool] = True

    scale: float = attrs.field(validator=at_least(0))
    """Weight of the class's logits against those of no class; 1 is the prior itself, 0 leaves the class out."""
    interval: tuple[int, int] = attrs.field(default=(0, 0), validator=_ahead)
    """First position that is guided, and the one behind the last; there 0 is no end."""
    prior: PriorSpec = attrs.field(validator=_weighted)
    """The prior that is guided."""

    def build(self, vocabulary: int, length: int, condition: int | None) -> Guided:
        """The prior inside, guided.

        Raises: RunError if there are no classes.
        """
        from crtcore.guided import Guided

        if condition is None:
            raise RunError("guided: expected data with classes, got data without; take the prior inside as it is")
        return Guided(self.prior.build(vocabulary, length, condition), scale=self.scale, interval=self.interval)


@attrs.frozen(kw_only=True)
class Ancestral(DecoderSpec):
    """One id a call, from the prior's own law: what every other decoder must agree with."""

    def build(self) -> AncestralDecoder:
        """The decoder."""
        from crtcore.builtin.ancestral import AncestralDecoder

        return AncestralDecoder()


@attrs.frozen(kw_only=True)
class Digits(DatasetSpec):
    """The 1,797 handwritten digits inside scikit-learn: 8 by 8 images, 17 grey levels, ten classes.

    Source: Alpaydin and Kaynak (1998), Optical recognition of handwritten digits, UCI.
    """

    form: ClassVar[str] = "image"

    validation: int = attrs.field(default=200, validator=at_least(1))
    """Images held out for choices; the same ones whatever the seed."""
    test: int = attrs.field(default=400, validator=at_least(1))
    """Images held out for the final numbers; the same ones whatever the seed."""

    def build(self) -> DigitImages:
        """The images, read from the installed package."""
        from crtcore.builtin.digits import DigitImages

        return DigitImages(self)


@attrs.frozen(kw_only=True)
class Shapes(DatasetSpec):
    """Generated colour scenes: one of five shapes in one of five colours, at any size and place over a dark background.

    Twenty-five classes, shape times colour; 256 levels. Sample i of a split depends on the seed, the split, i and the
    size of the images, so that more samples leave those that were there alone.
    """

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

    def build(self) -> ShapeScenes:
        """The scenes, drawn when they are taken."""
        from crtcore.builtin.shapes import ShapeScenes

        return ShapeScenes(self)


@attrs.frozen(kw_only=True)
class Photos(DatasetSpec):
    """Colour crops of the photographs inside scikit-image, and the hundred faces there: 256 levels, no classes.

    No photograph is in two splits; a person might be, as the faces do not say whose they are. A face is whole, enlarged
    if it is smaller than a crop. A crop that was met before, such as a black one, is left out.
    Source: van der Walt et al. (2014), scikit-image; faces from Huang et al. (2007), Labeled Faces in the Wild.
    """

    form: ClassVar[str] = "image"

    size: int = attrs.field(default=32, validator=between(8, 256))
    """Pixels along each side of a crop."""
    step: int = attrs.field(default=16, validator=at_least(1))
    """Pixels from one training crop to the next; held-out crops do not overlap."""

    def build(self) -> PhotoCrops:
        """The crops, read from the installed package.

        Raises: RunError if scikit-image is not installed.
        """
        try:
            from crtcore.builtin.photos import PhotoCrops
        except ModuleNotFoundError as error:
            if error.name != "skimage":
                raise
            raise RunError(
                "photos: expected scikit-image, got no such package; pip install 'crtcore[photos]'"
            ) from error
        return PhotoCrops(self)


@attrs.frozen(kw_only=True)
class ImageFolder(DatasetSpec):
    """Images in a folder of yours, with a sub-folder for each class, as ImageNet is laid out: colour, 256 levels.

    With `train` and `val` in it, `val` is for test and one in a hundred of `train`, by a hash of its name, for
    validation; without them five in a hundred are for each. Held-out images are cut in the middle, those to train on at
    random, every other one mirrored. Files are listed at once and opened when they are taken.
    Source: LlamaGen, dataset/augmentation.py; guided-diffusion, image_datasets.py (the middle).
    """

    form: ClassVar[str] = "image"

    folder: str
    """Where they are, from where the command is given."""
    size: int = attrs.field(default=256, validator=between(8, 4096))
    """Pixels along each side."""
    crops: int = attrs.field(default=1, validator=at_least(1))
    """Training samples made of one image: the i-th has index i times the number of images plus the image's own."""
    seed: int = 0
    """Other crops for another one; the run's own seed changes none."""

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Three channels, square."""
        return 3, self.size, self.size

    def build(self) -> FolderImages:
        """The images, listed.

        Raises: RunError if pillow is not installed, or the folder is not laid out so.
        """
        try:
            from crtcore.builtin.image_folder import FolderImages
        except ModuleNotFoundError as error:
            if error.name != "PIL":
                raise
            raise RunError(
                "image-folder: expected pillow, got no such package; pip install 'crtcore[images]'"
            ) from error
        return FolderImages(self)


@attrs.frozen(kw_only=True)
class PythonSource(DatasetSpec):
    """The running Python's standard library without its tests: bytes of real source code, in windows.

    The splits hold whole files, by a hash of what is in them: about 90 % to train on, 5 % for validation, 5 % for test.
    A window that an earlier split has too, such as a licence, is left out of the later one.
    """

    form: ClassVar[str] = "ids"

    length: int = attrs.field(default=256, validator=at_least(2))
    """Bytes of a window; the last one of a file may be shorter."""

    def build(self) -> SourceWindows:
        """The windows, read from where Python is installed."""
        from crtcore.builtin.python_source import SourceWindows

        return SourceWindows(self)


@attrs.frozen(kw_only=True)
class TokenFiles(DatasetSpec):
    """Tokens in a folder of yours, as NanoGPT keeps them: `train.bin` and `val.bin`, 16 bits a token, low byte first.

    A sample is a window; windows lie one after another, and a last one that is too short is left out. The first half
    of the windows of `val.bin` is for validation, the rest for test. Files are mapped and read where samples are taken.
    Source: karpathy/nanoGPT, data/openwebtext/prepare.py.
    """

    form: ClassVar[str] = "ids"

    folder: str
    """Where they are, from where the command is given."""
    length: int = attrs.field(default=1024, validator=at_least(2))
    """Tokens of a window."""
    vocabulary: int = attrs.field(default=50_257, validator=between(1, 2**16))
    """Tokens run from 0 up to this; the default is GPT-2's."""

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """A window."""
        return (self.length,)

    def build(self) -> TokenWindows:
        """The windows.

        Raises: RunError if a file is not there, has half a token, or is too short.
        """
        from crtcore.builtin.token_files import TokenWindows

        return TokenWindows(self)


def _of_ids(_: object, attribute: attrs.Attribute[DatasetSpec], value: DatasetSpec) -> None:
    if value.form != "ids":
        raise FieldError(attribute.name, f"expected a dataset of form 'ids', got one of form {value.form!r}")


@attrs.frozen(kw_only=True)
class WithMetas(DatasetSpec):
    """Another dataset of ids with METAs, one id more than it has, at random places; none of them is to be foretold.

    Their places in a sample are even over all sets of so many, and hang on the seed, the split and the index alone.
    Source: Shah et al. (2025), arXiv:2509.16278.
    """

    form: ClassVar[str] = "ids"
    marked: ClassVar[bool] = True

    dataset: DatasetSpec = attrs.field(validator=_of_ids)
    """The dataset that has none."""
    share: float = attrs.field(default=0.1, validator=between(0, 1))
    """METAs of a sample for each of its ids, k in the source; the number is rounded."""
    counted: Literal["text", "whole"] = "text"
    """Which ids `share` is of: `text`, which METAs make longer, or the `whole`, off whose end they push as many ids."""
    seed: int = 0
    """Other places for another one; the run's own seed changes none."""

    @property
    def sample_shape(self) -> tuple[int, ...] | None:
        """That of the dataset inside, longer by the METAs where the share is of its text."""
        inner = self.dataset.sample_shape
        if inner is None or self.counted == "whole":
            return inner
        return (inner[0] + round(self.share * inner[0]),)

    @property
    def vocabulary(self) -> int | None:
        """One more than inside."""
        return None if self.dataset.vocabulary is None else self.dataset.vocabulary + 1

    def build(self) -> MetaSamples:
        """The dataset inside, and its METAs."""
        from crtcore.builtin.with_metas import MetaSamples

        return MetaSamples(self)


@attrs.frozen(kw_only=True)
class Frechet(MetricSpec):
    """Fréchet distance of Gaussians fitted to whitened principal components, with the real-against-real floor.

    The components come from the training data, so they are one and the same for every arm. Not an Inception FID.
    Source: Dowson and Landau (1982); Heusel et al. (2017), arXiv:1706.08500, eq. 6.
    """

    dimensions: int = attrs.field(default=24, validator=at_least(1))
    """Principal components; far fewer than the samples, as the estimate is biased by their number."""

    def build(self) -> FrechetDistance:
        """The metric."""
        from crtcore.builtin.frechet import FrechetDistance

        return FrechetDistance(self)


@attrs.frozen(kw_only=True)
class KernelDistance(MetricSpec):
    """Squared kernel discrepancy in the features of `frechet`, without bias, with the real-against-real floor.

    The kernel is the cubic one of KID. Not an Inception KID.
    Source: Bińkowski et al. (2018), arXiv:1801.01401, section 4.
    """

    dimensions: int = attrs.field(default=24, validator=at_least(1))
    """Principal components."""
    subsets: int = attrs.field(default=10, validator=at_least(2))
    """Parts of the held-out samples that a number and its interval are over; each of two samples at least."""

    def build(self) -> PolynomialDiscrepancy:
        """The metric."""
        from crtcore.builtin.kernel_distance import PolynomialDiscrepancy

        return PolynomialDiscrepancy(self)


@attrs.frozen(kw_only=True)
class CodeLength(MetricSpec):
    """Two-part code length: bits for the ids plus bits for the data given the ids.

    The data given the ids is a discretised Gaussian about the reconstruction, its width fitted on training data.
    """

    def build(self) -> TwoPartCode:
        """The metric."""
        from crtcore.builtin.code_length import TwoPartCode

        return TwoPartCode()


@attrs.frozen(kw_only=True)
class Compression(ExperimentSpec):
    """Train a tokenizer alone, and measure what its codes of held-out data cost and leave out.

    The rate is the bottleneck's own, so that it is one axis for ids and for continuous codes; a code that is drawn is
    drawn once a sample.
    """

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

    def build(self) -> CompressionExperiment:
        """The experiment."""
        from crtcore.builtin.compression import CompressionExperiment

        return CompressionExperiment(self)


@attrs.frozen(kw_only=True)
class TwoStage(ExperimentSpec):
    """Train a tokenizer, then a prior over its ids; draw ids, decode them, and score both stages on held-out data."""

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

    def build(self) -> TwoStageExperiment:
        """The experiment."""
        from crtcore.builtin.two_stage import TwoStageExperiment

        return TwoStageExperiment(self)


@attrs.frozen(kw_only=True)
class Local(ExecutorSpec):
    """Processes on this machine."""

    workers: int = attrs.field(default=0, validator=at_least(0))
    """Processes at a time; 0 is one for each core."""
    threads: int = attrs.field(default=1, validator=at_least(1))
    """Threads of each process; another number can change the last bits of a result."""

    def build(self) -> LocalProcesses:
        """The executor."""
        from crtcore.builtin.local import LocalProcesses

        return LocalProcesses(self)
