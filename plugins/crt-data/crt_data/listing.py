"""What lies in a folder of images: classes, and the files of each split."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from crtcore.errors import RunError

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
"""How the names of images end, in small letters or not; other files are no part of the dataset."""
_HELD_OUT: Mapping[str, tuple[int, int]] = MappingProxyType({"": (5, 5), "train": (1, 0), "val": (0, 100)})
"""Files in a hundred that are for validation, and for test, by where they lie."""


class Listing(NamedTuple):
    """A folder, listed once."""

    classes: tuple[str, ...]
    """Names of the sub-folders, in order."""
    files: Mapping[str, tuple[str, ...]]
    """Split to its files, below the folder, by class and name."""
    checksum: str
    """SHA-256 of all names and lengths: contents are not read."""


def listed(root: Path) -> Listing:
    """The images below `root`: in `train` and `val` if those are there, else all together, with a split by hash.

    Of `train` one file in a hundred is for validation, and all of `val` is for test; without them five in a hundred are
    for each. Other files leave the split of those that were there alone.
    Raises: RunError if there is no such folder, no class, a class without images, or a split without any.
    """
    halves = [name for name in ("train", "val") if (root / name).is_dir()]
    if len(halves) == 1:
        raise _unfit(root, "folders train and val, or neither", f"{halves[0]} alone")
    found = hashlib.sha256()
    files: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    classes = tuple(classes_in(root / "train" if halves else root))
    for half in halves or [""]:
        inside = classes_in(root / half)
        if strange := sorted(set(inside) - set(classes)):
            raise _unfit(root / half, "the classes of train", f"also {strange[0]!r}")
        for name in inside:
            for image, length in images_in(root / half / name):
                path = f"{half}/{name}/{image}".removeprefix("/")
                found.update(f"{path}\0{length}\0".encode(errors="surrogateescape"))
                files[split_of(f"{name}/{image}", *_HELD_OUT[half])].append(path)
    for split, paths in files.items():
        if not paths:
            raise _unfit(root, "images for every split", f"none for {split} of {sum(map(len, files.values()))}")
    return Listing(classes, {split: tuple(paths) for split, paths in files.items()}, found.hexdigest())


def classes_in(folder: Path) -> list[str]:
    """The sub-folders of a folder, in order, but for hidden ones.

    Raises: RunError if there is no such folder, or it has none.
    """
    if not folder.is_dir():
        raise RunError(
            f"image-folder: expected a folder {folder}, got none; "
            "name one with a sub-folder of images for each class, or with those in train and val"
        )
    with os.scandir(folder) as entries:
        found = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    if not found:
        raise _unfit(folder, "a sub-folder of images for each class", "none")
    return found


def images_in(folder: Path) -> Iterator[tuple[str, int]]:
    """The images of one class, in order, with their lengths in bytes.

    Raises: RunError if there is none.
    """
    with os.scandir(folder) as entries:
        found = sorted((entry.name, entry.stat().st_size) for entry in entries if _image(entry))
    if not found:
        raise _unfit(folder, f"images ({', '.join(f'*{suffix}' for suffix in sorted(SUFFIXES))})", "none")
    yield from found


def split_of(name: str, validation: int, test: int) -> str:
    """The split of a file, by a hash of its class and name: so many in a hundred are held out."""
    place = int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()) % 100
    if place < validation:
        return "validation"
    return "test" if place < validation + test else "train"


def _image(entry: os.DirEntry[str]) -> bool:
    return os.path.splitext(entry.name)[1].lower() in SUFFIXES and entry.is_file()  # noqa: PTH122


def _unfit(folder: Path, expected: str, got: str) -> RunError:
    return RunError(f"image-folder: {folder}: expected {expected}, got {got}")
