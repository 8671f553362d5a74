"""Files of tokens for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_tokens(folder: Path, vocabulary: int, *, train: int, val: int) -> None:
    """Writes `train` and `val` random tokens, always the same, to `train.bin` and `val.bin`."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train.bin", train), ("val.bin", val)):
        generator.integers(vocabulary, size=count).astype("<u2").tofile(folder / name)
