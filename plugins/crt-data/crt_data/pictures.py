"""Folders of small pictures, for laws and tests."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image


def paint(path: Path, width: int, height: int, *, seed: int = 0) -> None:
    """Writes a picture with random pixels; the suffix of the name sets the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _random(width, height, seed).save(path)


def painted(kind: str, width: int, height: int, *, seed: int = 0) -> bytes:
    """The file of a picture with random pixels, in a format such as `PNG`."""
    file = io.BytesIO()
    _random(width, height, seed).save(file, kind)
    return file.getvalue()


def _random(width: int, height: int, seed: int) -> Image.Image:
    levels = torch.randint(256, (height, width, 3), generator=torch.Generator().manual_seed(seed))
    return Image.fromarray(levels.numpy().astype(np.uint8))


def paint_many(folder: Path, names: tuple[str, ...], each: int) -> None:
    """Writes `each` different pictures of a few sizes into each of the sub-folders `names`."""
    for place, name in enumerate(names):
        for index in range(each):
            seed = place * each + index
            paint(folder / name / f"{index:04d}.png", 12 + seed % 3, 10 + seed % 5, seed=seed)
