"""Square crops of an image, random in training and central elsewhere; free of torch, as processes that decode are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image

CHOICES = 4
"""Random words of a training crop: scale, offset from the left, offset from the top, mirroring."""
ZOOM = 0.8
"""Least side of a training crop over the shorter side: LlamaGen, dataset/augmentation.py, `min_crop_frac`."""


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    """Crops the largest central square, resized to `size`.

    Source: github.com/openai/guided-diffusion, guided_diffusion/image_datasets.py, `center_crop_arr`.
    """
    image = resized(image, size)
    return _square(image, (image.width - size) // 2, (image.height - size) // 2, size)


def random_crop(image: Image.Image, size: int, words: Sequence[int]) -> Image.Image:
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
