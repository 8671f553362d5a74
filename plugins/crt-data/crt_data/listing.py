"""Lists a folder of images: classes, and the files of each split."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from crtcore.errors import RunError

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
"""Suffixes of images, in any case; other files are ignored."""
_HELD_OUT: Mapping[str, tuple[int, int]] = MappingProxyType({"": (5, 5), "train": (1, 0), "val": (0, 100)})
"""Percent of files for validation and for test, by the folder."""


class Listing(NamedTuple):
    """The content of a folder."""

    classes: tuple[str, ...]
    """Names of the sub-folders, sorted."""
    files: Mapping[str, tuple[str, ...]]
    """Files of each split, relative to the folder, sorted by class and name."""
    checksum: str
    """SHA-256 of all names and lengths; contents are not read."""


def list_images(root: Path) -> Listing:
    """Lists the images below `root`: in `train` and `val` if they exist, else in `root`, split by a hash.

    1 % of `train` is for validation, and all of `val` for test; without them 5 % are for each. New files do not change
    the split of others.
    Raises: RunError if the folder or classes do not exist, or a class or a split has no images.
    """
    parts = [name for name in ("train", "val") if (root / name).is_dir()]
    if len(parts) == 1:
        raise _unfit(root, "folders train and val, or neither", f"{parts[0]} alone")
    digest = hashlib.sha256()
    files: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    classes = tuple(classes_in(root / "train" if parts else root))
    for part in parts or [""]:
        inside = classes_in(root / part)
        if unknown := sorted(set(inside) - set(classes)):
            raise _unfit(root / part, "the classes of train", f"also {unknown[0]!r}")
        for name in inside:
            for image, length in images_in(root / part / name):
                path = f"{part}/{name}/{image}".removeprefix("/")
                digest.update(f"{path}\0{length}\0".encode(errors="surrogateescape"))
                files[split_of(f"{name}/{image}", *_HELD_OUT[part])].append(path)
    for split, paths in files.items():
        if not paths:
            raise _unfit(root, "images for every split", f"none for {split} of {sum(map(len, files.values()))}")
    return Listing(classes, {split: tuple(paths) for split, paths in files.items()}, digest.hexdigest())


def classes_in(folder: Path) -> list[str]:
    """Returns the sorted sub-folders of a folder, without hidden ones.

    Raises: RunError if the folder does not exist or has none.
    """
    if not folder.is_dir():
        raise RunError(
            f"image-folder: expected a folder {folder}, got none; "
            "name one with a sub-folder of images for each class, or with train and val that have them"
        )
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise _unfit(folder, "a sub-folder of images for each class", "none")
    return names


def images_in(folder: Path) -> Iterator[tuple[str, int]]:
    """Yields the sorted images of a class with their lengths in bytes.

    Raises: RunError if there are none.
    """
    with os.scandir(folder) as entries:
        images = sorted((entry.name, entry.stat().st_size) for entry in entries if _image(entry))
    if not images:
        raise _unfit(folder, f"images ({', '.join(f'*{suffix}' for suffix in sorted(SUFFIXES))})", "none")
    yield from images


def split_of(name: str, validation: int, test: int) -> str:
    """Returns the split of a file by a hash of its class and name; `validation` and `test` are percentages."""
    place = int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()) % 100
    if place < validation:
        return "validation"
    return "test" if place < validation + test else "train"


def _image(entry: os.DirEntry[str]) -> bool:
    return os.path.splitext(entry.name)[1].lower() in SUFFIXES and entry.is_file()  # noqa: PTH122


def _unfit(folder: Path, expected: str, got: str) -> RunError:
    return RunError(f"image-folder: {folder}: expected {expected}, got {got}")
