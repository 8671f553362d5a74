"""Dataset: batches, with split and checksum, nothing downloaded unasked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, runtime_checkable

import attrs

from crtcore.spec import Spec

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor


class Batch(NamedTuple):
    """Samples side by side."""

    data: Tensor
    """b ...; images are b c h w, float, -1 to 1; ids are b n, int64, -1 where absent."""
    class_ids: Int[Tensor, " b"] | None
    """A class for each sample; -1: none."""
    weight: Float[Tensor, "b n"] | None
    """Loss weight of each target id; None: all count alike."""


@runtime_checkable
class Dataset(Protocol):
    """Samples by split and index."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Samples of each split: `train`, `validation`, `test`."""

    @property
    def classes(self) -> int | None:
        """Class ids run from 0 up to this; None: there are no classes."""

    @property
    def levels(self) -> int | None:
        """Values an element of the data can take, evenly from -1 to 1; None: the data have no levels."""

    @property
    def vocabulary(self) -> int | None:
        """Ids run from 0 up to this; None: its data are no ids."""

    @property
    def checksum(self) -> str:
        """SHA-256 of the data: of contents, or of names and lengths alone; never of times or places.

        It may be kept from an earlier reading while names, lengths and times of change stay.
        """

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """The samples of `split` at `indices`."""


@attrs.frozen(kw_only=True)
class DatasetSpec(Spec):
    """Base of every dataset's spec."""

    kind: ClassVar[str] = "dataset"
    form: ClassVar[str]
    """The form of its data, as in `TokenizerSpec.form`.

    `ids` are rows of integers below the dataset's vocabulary: b n, int64, -1 (absent) only at the right end.
    `trace` are such rows of a prompt, of the steps that solve it and of its solution: P <think> C <answer> S <end>,
    where these three are the last ids of the vocabulary; the prompt has loss weight 0.
    """
    marked: ClassVar[bool] = False
    """True: the last id of its vocabulary is META, whether a sample holds it or not."""

    readable: ClassVar[bool] = False
    """True: the dataset has `text(ids)`, the text of a list of ids."""

    @property
    def sample_shape(self) -> tuple[int, ...] | None:
        """The axes of a sample, where they are known before any data are read; None: where they are not."""
        return None

    @property
    def vocabulary(self) -> int | None:
        """What ids are below, where it is known before any data are read; None: where it is not, or there are none."""
        return None

    def build(self) -> Dataset:
        """The dataset, read from where it lies."""
        built: Dataset = super().build()
        return built
