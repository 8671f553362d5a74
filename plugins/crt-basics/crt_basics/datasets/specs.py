"""Specs of the datasets, free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import attrs

from crtcore.kinds import DatasetSpec
from crtcore.spec import FieldError, at_least, between


@attrs.frozen(kw_only=True)
class Digits(DatasetSpec):
    """The 1,797 handwritten digits inside scikit-learn: 8 by 8 images, 17 grey levels, ten classes.

    Source: Alpaydin and Kaynak (1998), Optical recognition of handwritten digits, UCI.
    """

    implementation: ClassVar[str] = "crt_basics.datasets.digits:DigitImages"
    form: ClassVar[str] = "image"

    validation: int = attrs.field(default=200, validator=at_least(1))
    """Validation images; the same for every seed."""
    test: int = attrs.field(default=400, validator=at_least(1))
    """Test images; the same for every seed."""


@attrs.frozen(kw_only=True)
class Shapes(DatasetSpec):
    """Generated colour scenes: one of five shapes in one of five colours, at any size and place over a dark background.

    Twenty-five classes, shape times colour; 256 levels. Sample i of a split depends on the seed, the split, i and the
    size of the images, so that a larger split keeps the samples of a smaller one.
    """

    implementation: ClassVar[str] = "crt_basics.datasets.shapes:ShapeScenes"
    form: ClassVar[str] = "image"

    train: int = attrs.field(default=8000, validator=at_least(1))
    """Training images."""
    validation: int = attrs.field(default=500, validator=at_least(1))
    """Validation images."""
    test: int = attrs.field(default=1000, validator=at_least(1))
    """Test images."""
    size: int = attrs.field(default=32, validator=between(8, 1024))
    """Pixels along each side."""
    seed: int = 0
    """Seed of the scenes; the run's own seed does not change them."""


@attrs.frozen(kw_only=True)
class PythonSource(DatasetSpec):
    """The running Python's standard library without its tests: bytes of real source code, in windows.

    The splits hold whole files, by a hash of their content: about 90 % for training, 5 % for validation, 5 % for test.
    A window that an earlier split has too, such as a licence, is dropped from the later one.
    """

    implementation: ClassVar[str] = "crt_basics.datasets.python_source:SourceWindows"
    form: ClassVar[str] = "ids"

    length: int = attrs.field(default=256, validator=at_least(2))
    """Bytes of a window; the last one of a file may be shorter."""


def _of_ids(_: object, attribute: attrs.Attribute[DatasetSpec], value: DatasetSpec) -> None:
    if value.form != "ids":
        raise FieldError(attribute.name, f"expected a dataset of form 'ids', got one of form {value.form!r}")


@attrs.frozen(kw_only=True)
class AsSteps(DatasetSpec):
    """Another dataset's rows of ids as the steps of traces without prompt and solution: <think> ids <answer> <end>.

    A tokenizer of traces, such as `text-chunks`, then reads plain text.
    """

    implementation: ClassVar[str] = "crt_basics.datasets.as_steps:Steps"
    form: ClassVar[str] = "trace"

    dataset: DatasetSpec = attrs.field(validator=_of_ids)
    """The dataset of ids, without loss weights."""
    samples: int = attrs.field(default=0, validator=at_least(0))
    """The most samples of each split, evenly spaced in it; 0 is all."""

    def example_in(self, folder: Path) -> AsSteps:
        """The same around an example of the inner dataset."""
        return attrs.evolve(self, dataset=self.dataset.example_in(folder))

    @property
    def sample_shape(self) -> tuple[int, ...] | None:
        """That of the inner dataset, longer by three delimiters."""
        inner = self.dataset.sample_shape
        return None if inner is None else (inner[0] + 3,)

    @property
    def vocabulary(self) -> int | None:
        """Three more than that of the inner dataset."""
        return None if self.dataset.vocabulary is None else self.dataset.vocabulary + 3
