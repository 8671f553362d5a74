"""Images in a folder that the user names, as a dataset; none is opened before it is taken.

Axes: b batch, c colour channels, h height, w width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Int, UInt8
from PIL import Image
from torch import Tensor

from crt_data.listing import Listing, listed
from crt_data.specs import ImageFolder
from crtcore.errors import RunError, in_one_line
from crtcore.kinds import Batch
from crtcore.noise import Noise
from crtcore.splits import check

Cut: TypeAlias = Callable[[Image.Image, int], Image.Image]
"""An image and a size, to a square of it."""
CHOICES = 4
"""What is drawn for a training crop: its scale, its place from the left and from the top, whether it is mirrored."""
ZOOM = 0.8
"""Least share of the shorter side that a training crop has: LlamaGen, dataset/augmentation.py, `min_crop_frac`."""


class FolderImages:
    """Squares cut from images: at random to train on, from the middle otherwise; classes are sub-folders in order."""

    levels = 256
    vocabulary = None

    def __init__(self, spec: ImageFolder) -> None:
        self.spec = spec
        self._root = Path(spec.folder).absolute()
        self._listing: Listing = listed(self._root)
        self.classes: int | None = len(self._listing.classes)
        labels = {name: label for label, name in enumerate(self._listing.classes)}
        self._labels = {
            split: torch.tensor([labels[name.split("/")[-2]] for name in names])
            for split, names in self._listing.files.items()
        }
        self.checksum = self._listing.checksum
        self.sizes: Mapping[str, int] = {
            split: len(names) * (spec.crops if split == "train" else 1) for split, names in self._listing.files.items()
        }

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """The images of `split` at `indices`, with their classes as conditions.

        Raises: ValueError if there is no such split, IndexError if an index is not in it, RunError if a file is no
        image that can be read.
        """
        check(self.sizes, split, indices)
        names = self._listing.files[split]
        files, visits = indices % len(names), indices // len(names)
        cuts = self._cuts(files, visits) if split == "train" else [centred] * len(indices)

        def read(place: int) -> UInt8[Tensor, "c h w"]:
            image = cuts[place](opened(self._root / names[int(files[place])]), self.spec.size)
            return torch.from_numpy(np.array(image)).permute(2, 0, 1)

        with ThreadPoolExecutor() as pool:  # pillow decodes and resizes outside the interpreter's lock
            images = torch.stack(list(pool.map(read, range(len(indices)))))  # b c h w
        return Batch(images.float() / 127.5 - 1, self._labels[split][files], None)

    def _cuts(self, files: Int[Tensor, " b"], visits: Int[Tensor, " b"]) -> list[Cut]:
        noise = Noise(self.spec.seed, "crops of a folder")
        words = noise.bits(files[:, None], visits[:, None], torch.arange(CHOICES)).tolist()  # b choices
        return [partial(cropped, words=drawn) for drawn in words]


def opened(path: Path) -> Image.Image:
    """The image in a file, in colour.

    Raises: RunError if it cannot be read.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except Exception as error:  # decoders raise anything
        raise RunError(
            f"image-folder: cannot read {path} ({in_one_line(error)}); put an image there that can be opened"
        ) from error


def centred(image: Image.Image, size: int) -> Image.Image:
    """The square in the middle, as high or as wide as the image.

    Source: github.com/openai/guided-diffusion, guided_diffusion/image_datasets.py, `center_crop_arr`.
    """
    image = shrunk(image, size)
    return _square(image, (image.width - size) // 2, (image.height - size) // 2, size)


def cropped(image: Image.Image, size: int, words: list[int]) -> Image.Image:
    """A square of four fifths of the shorter side or more, anywhere, every other one mirrored, by four 32-bit words.

    Source: github.com/FoundationVision/LlamaGen, dataset/augmentation.py, `random_crop_arr`.
    """
    scale, left, top, mirrored = words
    image = shrunk(image, size + _below(math.ceil(size / ZOOM) - size + 1, scale))
    square = _square(image, _below(image.width - size + 1, left), _below(image.height - size + 1, top), size)
    return square.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if _below(2, mirrored) else square


def shrunk(image: Image.Image, side: int) -> Image.Image:
    """The image with a shorter side of `side` pixels: halved while that is twice as long at least, then bicubic."""
    while min(image.size) >= 2 * side:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = side / min(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)


def _square(image: Image.Image, left: int, top: int, size: int) -> Image.Image:
    return image.crop((left, top, left + size, top + size))


def _below(bound: int, word: int) -> int:
    """Even over 0 to bound - 1, but for one part in a million: 32 bits are cut into a few thousand parts."""
    return word * bound >> 32
