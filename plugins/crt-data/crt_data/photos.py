"""Crops of the photographs inside scikit-image, as a dataset.

Axes: b batch, c colour channels, h height, w width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import skimage
import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.nn import functional

from crt_data.decoding import open_image
from crt_data.specs import Photos
from crt_nn.splits import check
from crtcore.errors import RunError, in_one_line
from crtcore.kinds import Batch

PHOTOGRAPHS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "train": (
            "astronaut.png",
            "brick.png",
            "clock_motion.png",
            "grass.png",
            "moon.png",
            "motorcycle_left.png",
            "rocket.jpg",
        ),
        "validation": ("chelsea.png", "coins.png"),
        "test": ("camera.png", "coffee.png", "gravel.png"),
    }
)
"""Photographs in the wheel, without medical ones and the deep sky, which would give a third of all crops.

The right motorcycle is left out, as the left one shows the same.
"""
FACES: Mapping[str, slice] = MappingProxyType(
    {"train": slice(0, 80), "validation": slice(80, 90), "test": slice(90, 100)}
)
"""Rows of `lfw_subset.npy`; those from 100 on show surroundings of faces."""


class PhotoCrops:
    """Square crops of photographs, and whole faces; grey ones have three equal channels."""

    classes = None
    levels = 256
    vocabulary = None

    def __init__(self, spec: Photos) -> None:
        digest = hashlib.sha256()
        seen: set[bytes] = set()
        self._splits: dict[str, Tensor] = {}
        for split in PHOTOGRAPHS:
            step = spec.step if split == "train" else spec.size
            kept = []
            for photograph in pictures(split):
                digest.update(repr(photograph.shape).encode() + photograph.numpy().tobytes())
                for crop in crops(photograph, spec.size, step):
                    key = crop.numpy().tobytes()
                    if key not in seen:
                        seen.add(key)
                        kept.append(crop)
            self._splits[split] = torch.stack(kept)  # b c h w
        self.checksum = digest.hexdigest()
        self.sizes = {split: len(kept) for split, kept in self._splits.items()}

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """Returns the crops of `split` at `indices`.

        Raises: ValueError if the split does not exist, IndexError if an index is out of range.
        """
        check(self.sizes, split, indices)
        return Batch(self._splits[split][indices].float() / 127.5 - 1, None, None)


def pictures(split: str) -> Iterator[UInt8[Tensor, "c h w"]]:
    """Yields the photographs of a split, then its faces.

    Raises: RunError if scikit-image lacks a file, or a photograph cannot be read; nothing is downloaded.
    """
    folder = Path(skimage.__file__).parent / "data"
    for name in (*PHOTOGRAPHS[split], "lfw_subset.npy"):
        if not (folder / name).is_file():
            raise RunError(
                f"photos: expected {name} in {folder}, got no such file; "
                "install a scikit-image whose wheel has it, such as 0.26.0"
            )
    for name in PHOTOGRAPHS[split]:
        yield torch.from_numpy(np.array(open_image(folder / name, "photos"))).permute(2, 0, 1)
    faces = torch.from_numpy(_read(folder / "lfw_subset.npy", np.load)[FACES[split]])
    yield from (faces * 255).round().byte()[:, None].expand(-1, 3, -1, -1)


def _read(path: Path, reader: Callable[[Path], Any]) -> Any:
    try:
        return reader(path)
    except Exception as error:  # readers of images list nothing that they raise about damaged files
        got = f"a damaged one ({in_one_line(error)[:120]}); install scikit-image again"
        raise RunError(f"photos: {path}: expected a file of scikit-image, got {got}") from error


def crops(photograph: UInt8[Tensor, "c h w"], size: int, step: int) -> Iterator[UInt8[Tensor, "c {size} {size}"]]:
    """Yields squares of `size`, `step` apart, row by row; a smaller photograph is enlarged to one square."""
    _, height, width = photograph.shape
    if min(height, width) < size:
        enlarged = functional.interpolate(photograph[None].double(), (size, size), mode="bilinear")
        yield enlarged[0].round().byte()
        return
    for top in range(0, height - size + 1, step):
        for left in range(0, width - size + 1, step):
            yield photograph[:, top : top + size, left : left + size]
