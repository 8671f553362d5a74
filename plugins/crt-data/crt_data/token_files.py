"""Tokens in files of nanoGPT's format, as a dataset of windows.

Axes: b batch, n ids of a window.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from crt_data.specs import TokenFiles
from crtcore.errors import RunError
from crtcore.kinds import Batch
from crtcore.splits import check

FILES = ("train.bin", "val.bin")
WORD = np.dtype("<u2")
PLACES, BLOCK = 64, 2**20
"""Of a file with more than PLACES * BLOCK bytes the checksum reads PLACES evenly spaced blocks."""


class TokenWindows:
    """Windows of tokens that do not overlap."""

    classes = None
    levels = None

    def __init__(self, spec: TokenFiles) -> None:
        self.vocabulary = spec.vocabulary
        self._folder = Path(spec.folder)
        train, held_out = (self._mapped(name, spec.length) for name in FILES)
        if len(held_out) < 2:
            raise self._unfit("val.bin", f"at least two windows of {spec.length} tokens", f"{len(held_out)}")
        half = -(-len(held_out) // 2)
        self._splits = {"train": train, "validation": held_out[:half], "test": held_out[half:]}
        self.sizes = {split: len(rows) for split, rows in self._splits.items()}
        self.checksum = checksum([self._folder / name for name in FILES])

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """Returns the windows of `split` at `indices`.

        Raises: ValueError if the split does not exist, IndexError if an index is out of range, RunError if a token is
        beyond the vocabulary.
        """
        check(self.sizes, split, indices)
        ids = torch.from_numpy(self._splits[split][indices.numpy()].astype(np.int64))  # b n
        if len(ids) and (largest := int(ids.max())) >= self.vocabulary:
            name = FILES[0] if split == "train" else FILES[1]
            raise self._unfit(
                name, f"tokens below {self.vocabulary}", f"{largest}; set `vocabulary` to that of the tokenizer"
            )
        return Batch(ids, None, None)

    def _mapped(self, name: str, length: int) -> Any:
        """Maps a file to rows of `length` tokens."""
        path = self._folder / name
        if not path.is_file():
            raise self._unfit(
                name,
                "a file",
                "none; name a folder with train.bin and val.bin as nanoGPT's prepare.py writes them",
            )
        size = path.stat().st_size
        if size % WORD.itemsize:
            raise self._unfit(name, "16 bits a token", f"{size} bytes, an odd number")
        rows = size // WORD.itemsize // length
        if not rows:
            raise self._unfit(name, f"at least {length} tokens", f"{size // WORD.itemsize}")
        return np.memmap(path, WORD, "r", shape=(rows, length))

    def _unfit(self, name: str, expected: str, got: str) -> RunError:
        return RunError(f"token-files: {self._folder / name}: expected {expected}, got {got}")


def checksum(paths: list[Path]) -> str:
    """Returns SHA-256 of names, lengths and contents; of large files it reads evenly spaced blocks."""
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            for place in range(PLACES):
                if size > PLACES * BLOCK:
                    file.seek(place * (size - BLOCK) // (PLACES - 1))
                digest.update(file.read(BLOCK))
    return digest.hexdigest()
