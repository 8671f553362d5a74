"""The source of Python's own standard library, as a dataset of bytes.

Axes: b batch, n ids of a window. Id -1 means absent.
"""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from crt_basics.datasets.specs import PythonSource
from crt_nn.splits import check
from crtcore.errors import RunError
from crtcore.kinds import Batch

SKIPPED = frozenset({"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__"})
"""Names of folders whose files are not part of the library itself."""
SPLITS = ("train", "validation", "test")
FEWEST = 2
"""The fewest ids of a window: the first has no context."""


class SourceWindows:
    """Windows of bytes, split by file; the splits share no window."""

    classes = None
    levels = None
    vocabulary = 256

    def __init__(self, spec: PythonSource) -> None:
        root = Path(sysconfig.get_path("stdlib"))
        files = distinct(root)
        if not files:
            raise RunError(
                f"python-source: expected *.py files under {root}, got none; "
                "run a Python whose standard library is laid out as source files"
            )
        whole = hashlib.sha256()
        cut: dict[str, list[bytes]] = {split: [] for split in SPLITS}
        for name, (content, digest) in files.items():
            whole.update(hashlib.sha256(name.encode(errors="surrogateescape")).digest() + digest)
            cut[split_of(digest)] += windows(content, spec.length)
        self.checksum = whole.hexdigest()
        seen: set[bytes] = set()
        for split in SPLITS:
            cut[split] = [window for window in cut[split] if window not in seen]
            seen.update(cut[split])
        self.sizes = {split: len(kept) for split, kept in cut.items()}
        if not all(self.sizes.values()):
            raise RunError(
                f"python-source: expected windows of {spec.length} bytes in each split, got {self.sizes}; "
                f"take another length, or a Python with more than these {len(files)} files under {root}"
            )
        self._splits = {split: packed(kept, spec.length) for split, kept in cut.items()}

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """The windows of `split` at `indices`, shorter ones padded with -1.

        Raises: ValueError if there is no such split, IndexError if an index is not in it.
        """
        check(self.sizes, split, indices)
        rows, lengths = self._splits[split]
        ids = rows[indices].long()  # b n
        absent = torch.arange(ids.shape[1]) >= lengths[indices, None]
        return Batch(ids.masked_fill(absent, -1), None, None)


def distinct(root: Path) -> dict[str, tuple[bytes, bytes]]:
    """Sorted path under `root` to content and SHA-256 of each file, without empty files and repetitions.

    Raises: RunError if a file cannot be read.
    """
    kept: dict[str, tuple[bytes, bytes]] = {}
    seen: set[bytes] = set()
    for name in sorted(path.relative_to(root).as_posix() for path in sources(root)):
        try:
            content = (root / name).read_bytes()
        except OSError as error:
            raise RunError(
                f"python-source: {root / name}: expected a file of Python's library, got one that cannot be read "
                f"({error.strerror}); repair that Python, or run another"
            ) from error
        digest = hashlib.sha256(content).digest()
        if content and digest not in seen:
            seen.add(digest)
            kept[name] = content, digest
    return kept


def sources(root: Path) -> Iterator[Path]:
    """Every source file of the library itself; skipped folders, which may be large, are not listed.

    Only regular files are: a broken link has no content, and a pipe would be waited for.
    """
    for folder, inside, names in os.walk(root):
        inside[:] = [name for name in inside if name not in SKIPPED]
        yield from (path for name in names if name.endswith(".py") and (path := Path(folder, name)).is_file())


def split_of(digest: bytes) -> str:
    """The split of a file with this SHA-256: of twenty, one for validation, one for test, the rest for training."""
    return {0: "validation", 1: "test"}.get(int.from_bytes(digest) % 20, "train")


def windows(content: bytes, length: int) -> Iterator[bytes]:
    """`content` cut at every `length` bytes; a last window of too few bytes is dropped."""
    for start in range(0, len(content) - FEWEST + 1, length):
        yield content[start : start + length]


def packed(kept: list[bytes], length: int) -> tuple[UInt8[Tensor, "b n"], Int[Tensor, " b"]]:
    """Windows as rows of bytes, padded with 0, and their lengths."""
    joined = bytearray().join(window.ljust(length, b"\0") for window in kept)
    return torch.frombuffer(joined, dtype=torch.uint8).view(-1, length), torch.tensor([len(one) for one in kept])
