"""Files of tokens for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_tokens(folder: Path, vocabulary: int, *, train: int, val: int) -> None:
    """Fills `train.bin` and `val.bin` with so many random tokens, the same every time."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train.bin", train), ("val.bin", val)):
        generator.integers(vocabulary, size=count).astype("<u2").tofile(folder / name)
