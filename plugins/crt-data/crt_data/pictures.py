"""Folders of small pictures, for laws and tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image


def paint(path: Path, width: int, height: int, *, seed: int = 0) -> None:
    """Writes a picture with random pixels; the suffix of the name sets the format."""
    levels = torch.randint(256, (height, width, 3), generator=torch.Generator().manual_seed(seed))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels.numpy().astype(np.uint8)).save(path)


def paint_many(folder: Path, names: tuple[str, ...], each: int) -> None:
    """Writes `each` different pictures of a few sizes into each of the sub-folders `names`."""
    for place, name in enumerate(names):
        for index in range(each):
            seed = place * each + index
            paint(folder / name / f"{index:04d}.png", 12 + seed % 3, 10 + seed % 5, seed=seed)
