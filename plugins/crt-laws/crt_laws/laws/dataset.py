"""The laws of datasets: splits that share nothing, batches that depend on their indices alone, values as stated.

Axes: b batch, n ids of a sample. Id -1 means absent.
"""

from __future__ import annotations

import copy
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import torch
from hypothesis import strategies as st
from jaxtyping import Int
from torch import Tensor

from crt_laws.compare import ROOM
from crt_laws.kit import Bench, Offender, law, laws_in
from crt_laws.laws import dataset_offenders as plants
from crt_laws.laws.dataset_offenders import Built
from crtcore.kinds import Batch, Dataset, DatasetSpec

SPLITS = ("train", "validation", "test")
CROWD = 512
"""Most samples of a split that are compared with those of another."""


@attrs.frozen
class Draw:
    """Some indices of a split, drawn by a seed."""

    split: str
    seed: int
    count: int

    def indices(self, dataset: Dataset) -> Int[Tensor, " b"]:
        """The indices; one may come twice."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randint(dataset.sizes[self.split], (self.count,), generator=generator)


DRAWS = st.builds(Draw, st.sampled_from(SPLITS), st.integers(0, 2**32), st.integers(1, 40))


def subject(spec: DatasetSpec) -> Built:
    """Two builds, each under a global seed of its own: neither may depend on it.

    One that reads files finds some.
    """
    folder = TemporaryDirectory()
    spec = spec.example_in(Path(folder.name))
    built = []
    for seed in (0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            built.append(spec.build())
    return Built(built[0], built[1], spec.form, folder)


def keys(data: Tensor) -> list[bytes]:
    """The bytes of each sample."""
    return [sample.contiguous().numpy().tobytes() for sample in data]


def part_of(batch: Batch, rows: slice) -> Batch:
    """Some rows of a batch."""
    condition, weight = batch.condition, batch.weight
    return Batch(
        batch.data[rows], None if condition is None else condition[rows], None if weight is None else weight[rows]
    )


def same(one: Batch, other: Batch) -> bool:
    """True if two batches agree bit for bit."""
    return all(
        left is right if left is None or right is None else left.dtype == right.dtype and torch.equal(left, right)
        for left, right in zip(one, other, strict=True)
    )


@law("dataset")
def there_are_three_splits_with_samples(built: Built) -> None:
    """The splits are train, validation and test, and none is empty."""
    sizes = built.dataset.sizes

    assert sorted(sizes) == sorted(SPLITS)
    assert min(sizes.values()) > 0


@law("dataset")
def splits_share_no_sample(built: Built) -> None:
    """No sample of a split, among the first of each, is in another split."""
    dataset = built.dataset
    train, validation, test = (
        set(keys(dataset.take(split, torch.arange(min(dataset.sizes[split], CROWD))).data)) for split in SPLITS
    )

    assert not train & validation
    assert not train & test
    assert not validation & test


@law("dataset", draw=DRAWS)
def a_batch_has_a_row_for_each_index(built: Built, draw: Draw) -> None:
    """Row i of a batch is the sample at index i, the same in any batch and at any time."""
    indices = draw.indices(built.dataset)
    together = built.dataset.take(draw.split, indices)

    assert len(together.data) == len(indices)
    for row, index in enumerate(indices[:5]):
        alone = built.dataset.take(draw.split, index[None])
        assert same(alone, part_of(together, slice(row, row + 1)))


@law("dataset", draw=DRAWS)
def another_build_has_the_same_batches(built: Built, draw: Draw) -> None:
    """A dataset built again, under another global seed, has the same sizes and the same batches."""
    indices = draw.indices(built.dataset)

    assert dict(built.again.sizes) == dict(built.dataset.sizes)
    assert same(built.dataset.take(draw.split, indices), built.again.take(draw.split, indices))


@law("dataset")
def the_checksum_is_a_sha_256_and_stays(built: Built) -> None:
    """The checksum is 64 hexadecimal digits, the same for another build."""
    assert re.fullmatch("[0-9a-f]{64}", built.dataset.checksum)
    assert built.again.checksum == built.dataset.checksum


@law("dataset", draw=DRAWS)
def images_lie_on_their_levels(built: Built, draw: Draw) -> None:
    """Images are b c h w, float and from -1 to 1; data with levels is on them, to a hundredth of a level."""
    data = built.dataset.take(draw.split, draw.indices(built.dataset)).data

    if built.form == "image":
        assert data.ndim == 4
        assert data.is_floating_point()
        assert data.min() >= -1 - ROOM
        assert data.max() <= 1 + ROOM
    if built.dataset.levels is not None:
        levels = (data.double() + 1) * (built.dataset.levels - 1) / 2
        assert (levels - levels.round()).abs().max() <= 0.01
        assert levels.min() > -0.01
        assert levels.max() < built.dataset.levels - 0.99


@law("dataset", draw=DRAWS)
def ids_are_below_their_vocabulary(built: Built, draw: Draw) -> None:
    """There is a vocabulary if and only if the data are ids: b n, int64, from -1 up to it, -1 only at the right end.

    Traces are ids too.
    """
    data, vocabulary = built.dataset.take(draw.split, draw.indices(built.dataset)).data, built.dataset.vocabulary

    assert (vocabulary is not None) == (built.form in ("ids", "trace"))
    if vocabulary is not None:
        assert data.ndim == 2
        assert data.dtype == torch.int64
        assert ((data >= -1) & (data < vocabulary)).all()
        assert not ((data[:, :-1] < 0) & (data[:, 1:] >= 0)).any()


@law("dataset", draw=DRAWS)
def conditions_are_classes(built: Built, draw: Draw) -> None:
    """There is a condition for each sample, from -1 up to the classes, if and only if there are classes."""
    indices = draw.indices(built.dataset)
    condition, classes = built.dataset.take(draw.split, indices).condition, built.dataset.classes

    assert (condition is None) == (classes is None)
    if condition is not None and classes is not None:
        assert condition.shape == indices.shape
        assert condition.dtype == torch.int64
        assert condition.min() >= -1
        assert condition.max() < classes


@law("dataset", split=st.sampled_from(SPLITS), beyond=st.integers(0, 3), below=st.booleans())
def an_index_out_of_range_is_refused(built: Built, split: str, beyond: int, below: bool) -> None:
    """An index below 0, or not below the size of the split, is an IndexError."""
    index = -1 - beyond if below else built.dataset.sizes[split] + beyond

    try:
        built.dataset.take(split, torch.tensor([0, index]))
    except IndexError:
        return
    raise AssertionError(f"expected an IndexError for index {index} of {split!r}, got a batch")


@law("dataset", draw=DRAWS)
def a_batch_is_the_callers_own(built: Built, draw: Draw) -> None:
    """Writing into a batch changes no later batch."""
    indices = draw.indices(built.dataset)
    batch = built.dataset.take(draw.split, indices)
    before = copy.deepcopy(batch)
    for part in batch:
        if part is not None:
            part.zero_()
    unmoved = same(before, built.dataset.take(draw.split, indices))
    for part, was in zip(batch, before, strict=True):
        if part is not None and was is not None:
            part.copy_(was)  # so that a dataset that breaks this law is none the worse for the next

    assert unmoved


LAWS = laws_in(globals())


OFFENDERS = (
    Offender(there_are_three_splits_with_samples, plants.altered(further="holdout")),
    Offender(splits_share_no_sample, plants.altered(plants.leaking)),
    Offender(a_batch_has_a_row_for_each_index, plants.altered(plants.in_order)),
    Offender(another_build_has_the_same_batches, plants.altered(plants.mirrored, twice=False)),
    Offender(the_checksum_is_a_sha_256_and_stays, plants.altered(checksum="0" * 64, twice=False)),
    Offender(images_lie_on_their_levels, plants.altered(plants.between_levels)),
    Offender(ids_are_below_their_vocabulary, plants.altered(vocabulary=256)),
    Offender(conditions_are_classes, plants.altered(plants.one_class_more)),
    Offender(an_index_out_of_range_is_refused, plants.altered(plants.wrapping)),
    Offender(a_batch_is_the_callers_own, plants.altered(plants.shared())),
)

BENCH = Bench("dataset", subject, LAWS, OFFENDERS)
