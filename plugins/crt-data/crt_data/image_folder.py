"""Images in a folder as a dataset; files are opened when samples are taken.

Axes: b batch, c colour channels, h height, w width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Int, UInt8
from PIL import Image
from torch import Tensor

from crt_data.decoding import PIXELS, open_image, unreadable
from crt_data.listing import Listing, list_images
from crt_data.specs import ImageFolder
from crt_nn.splits import check
from crtcore.kinds import Batch
from crtcore.noise import Noise

Crop: TypeAlias = Callable[[Image.Image, int], Image.Image]
"""Crops a square of a size from an image."""
CHOICES = 4
"""Random words of a training crop: scale, offset from the left, offset from the top, mirroring."""
ZOOM = 0.8
"""Least side of a training crop over the shorter side: LlamaGen, dataset/augmentation.py, `min_crop_frac`."""
STRETCHED = 3 * PIXELS
"""The most pixels of an image once its shorter side is resized: ten times as long as wide at 4,096 pixels."""


class FolderImages:
    """Square crops of images: random in training, else central. Classes are sub-folders in alphabetical order.

    `skipped` has the number of files and folders that were left out, and the first of them, by the reason.
    """

    levels = 256
    vocabulary = None

    def __init__(self, spec: ImageFolder) -> None:
        self.spec = spec
        self._root = Path(spec.folder).absolute()
        self._listing: Listing = list_images(self._root)
        self.classes: int | None = len(self._listing.classes)
        self._labels = {split: torch.tensor(labels) for split, labels in self._listing.labels.items()}
        self.checksum = self._listing.checksum
        self.skipped: Mapping[str, Mapping[str, Any]] = {
            why: each._asdict() for why, each in self._listing.skipped.items()
        }
        self.sizes: Mapping[str, int] = {
            split: len(names) * (spec.crops if split == "train" else 1) for split, names in self._listing.files.items()
        }

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """Returns the images of `split` at `indices`, with class ids.

        Raises: ValueError if the split does not exist, IndexError if an index is out of range, RunError if a file is
        not a readable image.
        """
        check(self.sizes, split, indices)
        names = self._listing.files[split]
        files, visits = indices % len(names), indices // len(names)
        crops = self._crops(files, visits) if split == "train" else [centre_crop] * len(indices)

        def read(place: int) -> UInt8[Tensor, "c h w"]:
            path = self._root / names[int(files[place])]
            image = open_image(path)
            if max(image.size) * (self.spec.size / ZOOM) ** 2 > STRETCHED * min(image.size):
                raise unreadable(path, f"too long for crops of {self.spec.size}: {image.width} x {image.height}")
            image = crops[place](image, self.spec.size)
            return torch.from_numpy(np.array(image)).permute(2, 0, 1)

        with ThreadPoolExecutor() as pool:  # pillow decodes and resizes outside the interpreter's lock
            images = torch.stack(list(pool.map(read, range(len(indices)))))  # b c h w
        return Batch(images.float() / 127.5 - 1, self._labels[split][files], None)

    def _crops(self, files: Int[Tensor, " b"], visits: Int[Tensor, " b"]) -> list[Crop]:
        noise = Noise(self.spec.seed, "crops of a folder")
        words = noise.bits(files[:, None], visits[:, None], torch.arange(CHOICES)).tolist()  # b choices
        return [partial(random_crop, words=drawn) for drawn in words]


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    """Crops the largest central square, resized to `size`.

    Source: github.com/openai/guided-diffusion, guided_diffusion/image_datasets.py, `center_crop_arr`.
    """
    image = resized(image, size)
    return _square(image, (image.width - size) // 2, (image.height - size) // 2, size)


def random_crop(image: Image.Image, size: int, words: list[int]) -> Image.Image:
    """Crops a square of at least 4/5 of the shorter side at random and mirrors half of them, by four 32-bit words.

    Source: github.com/FoundationVision/LlamaGen, dataset/augmentation.py, `random_crop_arr`.
    """
    scale, left, top, mirrored = words
    image = resized(image, size + _below(math.ceil(size / ZOOM) - size + 1, scale))
    square = _square(image, _below(image.width - size + 1, left), _below(image.height - size + 1, top), size)
    return square.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if _below(2, mirrored) else square


def resized(image: Image.Image, side: int) -> Image.Image:
    """Resizes the shorter side to `side` pixels: by halving while it is at least twice as long, then bicubic."""
    while min(image.size) >= 2 * side:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = side / min(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)


def _square(image: Image.Image, left: int, top: int, size: int) -> Image.Image:
    return image.crop((left, top, left + size, top + size))


def _below(bound: int, word: int) -> int:
    """Maps a 32-bit word to 0 to bound - 1, uniform to one part in a million for bounds of a few thousand."""
    return word * bound >> 32
