"""Images as a dataset, wherever they lie: crops, classes, and batches that are decoded ahead.

Axes: b batch, c colour channels, h height, w width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import attrs
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from torch import Tensor

from crt_data.crops import CHOICES
from crt_data.readers import Place, pixels, reader
from crt_data.specs import ImagesSpec
from crt_data.workers import AHEAD, Workers
from crt_nn.splits import check
from crtcore.kinds import Batch
from crtcore.noise import Noise


@attrs.frozen(kw_only=True, eq=False)
class Source:
    """Where images lie, and what is known of them."""

    reader: Sequence[Any]
    """The arguments of `crt_data.readers.reader`."""
    places: Mapping[str, Sequence[Place]]
    """The place of each image of a split."""
    labels: Mapping[str, Sequence[int] | NDArray[Any]]
    """Its class."""
    classes: int | None
    checksum: str
    skipped: Mapping[str, Mapping[str, Any]]
    """The number of files, folders and members that were left out, and the first of them, by the reason."""


class Images:
    """Square crops of images: random in training, else central."""

    levels = 256
    vocabulary = None

    def __init__(self, spec: ImagesSpec, source: Source) -> None:
        self.spec = spec
        self.classes = source.classes
        self.checksum = source.checksum
        self.skipped = source.skipped
        self._places = source.places
        self._labels = {split: torch.as_tensor(labels, dtype=torch.int64) for split, labels in source.labels.items()}
        self.sizes: Mapping[str, int] = {
            split: len(places) * (spec.crops if split == "train" else 1) for split, places in source.places.items()
        }
        self._arguments = source.reader
        self._reader = reader(*source.reader)
        self._workers: Workers | None = None
        self.ahead = AHEAD if spec.workers else 0
        """Batches that `prefetch` may be given before they are taken."""

    def prefetch(self, split: str, indices: Int[Tensor, " b"]) -> None:
        """Begins to decode the samples of `split` at `indices`, for a `take` of the same that is to come.

        Without `workers` it does nothing.
        Raises: as `take` does of splits and indices, RunError if a process that decodes has died.
        """
        check(self.sizes, split, indices)
        if not self.spec.workers:
            return
        if self._workers is None:
            self._workers = Workers(self.spec.workers, self._arguments, self.spec.size)
        self._workers.begin(_key(split, indices), *self._requested(split, indices))

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """Returns the images of `split` at `indices`, with class ids if there are classes.

        Raises: ValueError if the split does not exist, IndexError if an index is out of range, RunError if an image
        cannot be read or a process that decodes has died.
        """
        check(self.sizes, split, indices)
        decoded = self._workers.finish(_key(split, indices)) if self._workers else None
        if decoded is None:
            decoded = self._decoded(*self._requested(split, indices))
        files = indices % len(self._places[split])
        class_ids = None if self.classes is None else self._labels[split][files]
        return Batch(_scaled(torch.from_numpy(decoded)), class_ids, None)

    def _decoded(self, places: Sequence[Place], words: Sequence[Sequence[int]] | None) -> NDArray[np.uint8]:
        """The crops at places, decoded in threads of this process, b c h w."""
        rows = np.empty((len(places), 3, self.spec.size, self.spec.size), np.uint8)

        def read(row: int) -> None:
            rows[row] = pixels(self._reader, places[row], self.spec.size, words[row] if words else None)

        with ThreadPoolExecutor() as pool:  # pillow decodes and resizes outside the interpreter's lock
            list(pool.map(read, range(len(places))))
        return rows

    def _requested(
        self, split: str, indices: Int[Tensor, " b"]
    ) -> tuple[Sequence[Place], Sequence[Sequence[int]] | None]:
        """The places of images, and the random words of their crops in training."""
        places = self._places[split]
        files, visits = indices % len(places), indices // len(places)
        wanted = [places[file] for file in files.tolist()]
        if split != "train":
            return wanted, None
        noise = Noise(self.spec.seed, "crops of a folder")
        return wanted, noise.bits(files[:, None], visits[:, None], torch.arange(CHOICES)).tolist()  # b choices


def _key(split: str, indices: Int[Tensor, " b"]) -> bytes:
    return split.encode() + indices.numpy().tobytes()


def _scaled(levels: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Levels from 0 to 255 as values from -1 to 1."""
    return levels.float().div_(127.5).sub_(1)
