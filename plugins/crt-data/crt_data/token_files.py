"""Tokens in files of nanoGPT's format, as a dataset of windows.

Axes: b batch, n ids of a window.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from crt_data.specs import TokenFiles
from crt_nn.foreign import instead
from crt_nn.splits import check
from crtcore.errors import RunError
from crtcore.kinds import Batch

FILES = ("train.bin", "val.bin")
WORD = np.dtype("<u2")
HEAD = 512
"""Tokens at the beginning that are looked at for another format."""
MARKS: Mapping[bytes, str] = MappingProxyType(
    {
        b"\x93NUMPY": "an .npy file",
        b"PK\x03\x04": "a zip archive",
        b"\x1f\x8b\x08": "a gzip archive",
        b"\x28\xb5\x2f\xfd": "a zstd archive",
        b"\x88\xd8\x34\x01\x01\0\0\0": "a file of llm.c, which begins with a header",
    }
)
"""First bytes of other formats that are kept under this name."""
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
            got = f"{len(held_out)}; set `length` to fewer"
            raise self._unfit("val.bin", f"at least two windows of {spec.length} tokens", got)
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
        if got := instead(path):
            raise self._unfit(name, "16-bit tokens, as nanoGPT's prepare.py writes them", got)
        size = path.stat().st_size
        if size % WORD.itemsize:
            raise self._unfit(name, "16 bits a token", f"{size} bytes, an odd number; fetch the file again")
        rows = size // WORD.itemsize // length
        if not rows:
            got = f"{size // WORD.itemsize}; set `length` to fewer, or fetch the file again"
            raise self._unfit(name, f"at least {length} tokens", got)
        mapped = np.memmap(path, WORD, "r", shape=(rows, length))
        if other := _other_format(mapped.reshape(-1)[:HEAD]):
            raise self._unfit(name, "16 bits a token alone", f"{other}; write it again as nanoGPT's prepare.py does")
        return mapped

    def _unfit(self, name: str, expected: str, got: str) -> RunError:
        return RunError(f"token-files: {self._folder / name}: expected {expected}, got {got}")


def _other_format(head: Any) -> str | None:
    """What tokens that begin so are instead, if they are none of 16 bits."""
    for mark, kind in MARKS.items():
        if head.tobytes().startswith(mark):
            return kind
    low, high = head[::2], head[1::2]
    # Ids of 32 bits are below 2**18 in every public vocabulary, so their upper halves are nearly 0.
    if len(head) == HEAD and high.max() < 4 <= low.max():
        return "32 bits or more a token"
    return None


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
