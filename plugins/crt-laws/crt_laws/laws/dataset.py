"""The laws of datasets: disjoint splits, batches that depend on their indices alone, values in their ranges.

Axes: b batch, n ids of a sample. Id -1 means absent.
"""

from __future__ import annotations

import copy
import itertools
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import torch
from hypothesis import strategies as st
from jaxtyping import Int
from torch import Tensor

from crt_laws.checks import ROOM, check, equal
from crt_laws.kit import Bench, Checks, Offender, Where, law, laws_in
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


ROWS_OF_IDS = ("ids", "trace")
"""Forms of data that are ids."""
IMAGES = Where(lambda built: built.form == "image", "its data are not images")
LEVELS = Where(lambda built: built.dataset.levels is not None, "its data have no levels")
IDS = Where(lambda built: built.form in ROWS_OF_IDS, "its data are not ids")
AHEAD = Where(lambda built: hasattr(built.dataset, "prefetch"), "it reads nothing ahead")
CLASSES = Where(lambda built: built.dataset.classes is not None, "it has no classes")
DRAWS = st.builds(Draw, st.sampled_from(SPLITS), st.integers(0, 2**32), st.integers(1, 40))


def subject(spec: DatasetSpec) -> Built:
    """Two builds under different global seeds, on which neither may depend.

    The folder holds the files of a dataset that reads files.
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
    class_ids, weight = batch.class_ids, batch.weight
    return Batch(
        batch.data[rows], None if class_ids is None else class_ids[rows], None if weight is None else weight[rows]
    )


def identical(one: Batch, other: Batch) -> bool:
    """True if two batches agree bit for bit."""
    return all(
        left is right if left is None or right is None else left.dtype == right.dtype and torch.equal(left, right)
        for left, right in zip(one, other, strict=True)
    )


@law("dataset")
def there_are_three_splits_with_samples(built: Built) -> Checks:
    """The splits are train, validation and test, and none is empty."""
    sizes = built.dataset.sizes

    yield equal(sorted(sizes), sorted(SPLITS), "the list of splits")
    yield check(min(sizes.values()) > 0, f"sizes {dict(sizes)}")


@law("dataset")
def splits_share_no_sample(built: Built) -> Checks:
    """The first 512 samples of each split are in no other split."""
    dataset = built.dataset
    samples = {
        split: set(keys(dataset.take(split, torch.arange(min(dataset.sizes[split], CROWD))).data)) for split in SPLITS
    }

    for one, other in itertools.combinations(SPLITS, 2):
        shared = len(samples[one] & samples[other])
        yield check(not shared, f"{shared} samples that {one} shares with {other}")


@law("dataset", draw=DRAWS)
def a_batch_has_a_row_for_each_index(built: Built, draw: Draw) -> Checks:
    """Row i of a batch is the sample at index i, the same in any batch and at any time."""
    indices = draw.indices(built.dataset)
    together = built.dataset.take(draw.split, indices)

    yield equal(len(together.data), len(indices), "the number of rows")
    for row, index in enumerate(indices[:5]):
        alone = built.dataset.take(draw.split, index[None])
        yield check(
            identical(alone, part_of(together, slice(row, row + 1))), f"two samples for index {index} of {draw.split}"
        )


@law("dataset", draw=DRAWS)
def another_build_has_the_same_batches(built: Built, draw: Draw) -> Checks:
    """A dataset built again, under another global seed, has the same sizes and the same batches."""
    indices = draw.indices(built.dataset)
    one, other = built.dataset.take(draw.split, indices), built.again.take(draw.split, indices)

    yield equal(dict(built.again.sizes), dict(built.dataset.sizes), "the sizes of the second build")
    yield check(identical(one, other), f"two batches for the same indices of {draw.split}")


@law("dataset")
def the_checksum_is_a_sha_256_and_stays(built: Built) -> Checks:
    """The checksum is 64 hexadecimal digits, the same for another build."""
    digits = re.fullmatch("[0-9a-f]{64}", built.dataset.checksum)
    yield check(digits is not None, f"a checksum of {built.dataset.checksum!r}")
    yield equal(built.again.checksum, built.dataset.checksum, "the checksum of the second build")


@law("dataset", where=IMAGES, draw=DRAWS)
def images_are_floats_from_minus_one_to_one(built: Built, draw: Draw) -> Checks:
    """Images are b c h w, of a floating-point type, from -1 to 1."""
    data = built.dataset.take(draw.split, draw.indices(built.dataset)).data

    yield equal(data.ndim, 4, "the number of axes")
    yield check(data.is_floating_point(), f"data of type {data.dtype}")
    yield check(data.abs() <= 1 + ROOM, f"values from {data.min()} to {data.max()}")


@law("dataset", where=LEVELS, draw=DRAWS)
def values_are_on_their_levels(built: Built, draw: Draw) -> Checks:
    """Each value is one of the levels, to a hundredth of the distance between two."""
    data, levels = built.dataset.take(draw.split, draw.indices(built.dataset)).data, built.dataset.levels or 0

    places = (data.double() + 1) * (levels - 1) / 2
    yield check((places - places.round()).abs() <= 0.01, f"{(places - places.round()).abs().max()} of a level off")
    yield check((places > -0.01) & (places < levels - 0.99), f"levels from {places.min()} to {places.max()}")


@law("dataset")
def ids_come_with_a_vocabulary(built: Built) -> Checks:
    """There is a vocabulary if and only if the data are ids; traces are ids."""
    vocabulary = built.dataset.vocabulary

    yield check(
        (vocabulary is not None) == (built.form in ROWS_OF_IDS),
        f"a vocabulary of {vocabulary} and data of {built.form}",
    )


@law("dataset", where=IDS, draw=DRAWS)
def ids_are_below_their_vocabulary(built: Built, draw: Draw) -> Checks:
    """Ids are b n, int64, from -1 up to the vocabulary, with -1 only at the right end of a row."""
    data, vocabulary = built.dataset.take(draw.split, draw.indices(built.dataset)).data, built.dataset.vocabulary or 0

    yield equal(data.ndim, 2, "the number of axes")
    yield equal(data.dtype, torch.int64, "the type of ids")
    yield check((data >= -1) & (data < vocabulary), f"ids from {data.min()} to {data.max()} of {vocabulary}")
    gaps = int(((data[:, :-1] < 0) & (data[:, 1:] >= 0)).sum())
    yield equal(gaps, 0, "the number of ids after an absent one")


@law("dataset", draw=DRAWS)
def class_ids_come_with_classes(built: Built, draw: Draw) -> Checks:
    """There are class ids if and only if there are classes."""
    class_ids = built.dataset.take(draw.split, draw.indices(built.dataset)).class_ids
    classes = built.dataset.classes

    some = "no class ids" if class_ids is None else "class ids"
    yield check((class_ids is None) == (classes is None), f"{some} with classes = {classes}")


@law("dataset", where=CLASSES, draw=DRAWS)
def class_ids_are_below_their_classes(built: Built, draw: Draw) -> Checks:
    """There is a class id for each sample, int64, from -1 up to the classes."""
    indices = draw.indices(built.dataset)
    class_ids, classes = built.dataset.take(draw.split, indices).class_ids, built.dataset.classes or 0
    if class_ids is None:
        raise ValueError("expected class ids, as there are classes, got None")

    yield equal(class_ids.shape, indices.shape, "the shape of class ids")
    yield equal(class_ids.dtype, torch.int64, "the type of class ids")
    observed = f"class ids from {class_ids.min()} to {class_ids.max()} of {classes}"
    yield check((class_ids >= -1) & (class_ids < classes), observed)


@law("dataset", split=st.sampled_from(SPLITS), beyond=st.integers(0, 3), below=st.booleans())
def an_index_out_of_range_is_refused(built: Built, split: str, beyond: int, below: bool) -> Checks:
    """An index below 0, or not below the size of the split, raises an IndexError."""
    index = -1 - beyond if below else built.dataset.sizes[split] + beyond
    refused = False

    try:
        built.dataset.take(split, torch.tensor([0, index]))
    except IndexError:
        refused = True

    yield check(refused, f"a batch for index {index} of {split}")


@law("dataset", draw=DRAWS)
def a_batch_is_the_callers_own(built: Built, draw: Draw) -> Checks:
    """Writing into a batch changes no later batch."""
    indices = draw.indices(built.dataset)
    batch = built.dataset.take(draw.split, indices)
    before = copy.deepcopy(batch)
    for part in batch:
        if part is not None:
            part.zero_()
    unchanged = identical(before, built.dataset.take(draw.split, indices))
    for part, was in zip(batch, before, strict=True):
        if part is not None and was is not None:
            part.copy_(was)  # so that a dataset that breaks this law keeps the next ones

    yield check(unchanged, f"another batch for the same indices of {draw.split}")


@law("dataset", where=AHEAD, draw=DRAWS)
def a_batch_that_was_begun_ahead_is_the_same(built: Built, draw: Draw) -> Checks:
    """What `take` returns does not depend on which batches `prefetch` has begun, nor on their order."""
    dataset: Any = built.dataset
    indices = draw.indices(dataset)
    expected = [built.again.take(draw.split, each) for each in (indices, indices.flip(0))]
    for each in (indices.flip(0), indices):
        dataset.prefetch(draw.split, each)

    for each, batch in zip((indices, indices.flip(0)), expected, strict=True):
        taken = dataset.take(draw.split, each)
        yield check(identical(taken, batch), f"another batch of {draw.split} once it was begun ahead")


LAWS = laws_in(globals())


OFFENDERS = (
    Offender(there_are_three_splits_with_samples, plants.altered(further="holdout")),
    Offender(splits_share_no_sample, plants.altered(plants.leaking)),
    Offender(a_batch_has_a_row_for_each_index, plants.altered(plants.in_order)),
    Offender(another_build_has_the_same_batches, plants.altered(plants.mirrored, twice=False)),
    Offender(the_checksum_is_a_sha_256_and_stays, plants.altered(checksum="0" * 64, twice=False)),
    Offender(images_are_floats_from_minus_one_to_one, plants.altered(plants.flattened)),
    Offender(values_are_on_their_levels, plants.altered(plants.between_levels)),
    Offender(ids_come_with_a_vocabulary, plants.altered(vocabulary=256)),
    Offender(ids_are_below_their_vocabulary, plants.altered(plants.beyond_the_vocabulary)),
    Offender(class_ids_come_with_classes, plants.altered(unclassed=True)),
    Offender(class_ids_are_below_their_classes, plants.altered(plants.one_class_more)),
    Offender(an_index_out_of_range_is_refused, plants.altered(plants.wrapping)),
    Offender(a_batch_is_the_callers_own, plants.altered(plants.shared())),
    Offender(a_batch_that_was_begun_ahead_is_the_same, plants.last_begun),
)

BENCH = Bench("dataset", subject, LAWS, OFFENDERS)
