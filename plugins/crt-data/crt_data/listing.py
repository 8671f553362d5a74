"""Lists a folder of images: classes, the files of each split, and what is left out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple

from crtcore.errors import RunError

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Suffixes of images, in any case: those of torchvision's ImageFolder."""
OF_SYSTEMS = frozenset(
    {
        *("$recycle.bin", "@eadir", "__macosx", "desktop.ini", "ehthumbs.db", "lost+found"),
        *("system volume information", "thumbs.db"),
    }
)
"""What systems leave beside a user's files, in lower case; names that begin with a dot count too."""
_HELD_OUT: Mapping[str, tuple[int, int]] = MappingProxyType({"": (5, 5), "train": (1, 0), "val": (0, 100)})
"""Percent of files for validation and for test, by the folder."""

Reason = Literal["hidden or of a system", "not an image by its suffix", "in no class", "beside train and val"]
"""Why a file or folder is left out; a folder counts once, whatever is in it."""


class Skipped(NamedTuple):
    """How many files and folders were left out for one reason, and the path of the first."""

    number: int
    first: str


class Listing(NamedTuple):
    """The content of a folder."""

    classes: tuple[str, ...]
    """Names of the sub-folders, sorted."""
    files: Mapping[str, tuple[str, ...]]
    """Files of each split, relative to the folder, sorted by class and path."""
    labels: Mapping[str, tuple[int, ...]]
    """The class of each file."""
    checksum: str
    """SHA-256 of all names and lengths; contents are not read."""
    skipped: Mapping[Reason, Skipped]
    """What was left out."""


def list_images(root: Path) -> Listing:
    """Lists the images below `root`: in `train` and `val` if they exist, else in `root`, split by a hash.

    1 % of `train` is for validation, and all of `val` for test; without them 5 % are for each. New files do not change
    the split of others.
    Raises: RunError if the folder or classes do not exist, a class or a split has no images, or something cannot be
    listed.
    """
    try:
        return _Lister(root).listing()
    except OSError as error:
        raise _unfit(Path(error.filename or root), "something that can be read", f"{error.strerror}") from error


def split_of(name: str, validation: int, test: int) -> str:
    """Returns the split of a file by a hash of its class and name; `validation` and `test` are percentages."""
    place = int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()) % 100
    if place < validation:
        return "validation"
    return "test" if place < validation + test else "train"


class _Lister:
    """One walk through a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.skipped: dict[Reason, Skipped] = {}

    def listing(self) -> Listing:
        parts = [name for name in ("train", "val") if (self.root / name).is_dir()]
        if len(parts) == 1:
            raise _unfit(self.root, "folders train and val, or neither", f"{parts[0]} alone")
        for entry in _entries(self.root) if parts else ():
            if entry.name not in parts and not self._hidden(entry):
                self._skip("beside train and val", entry)
        digest = hashlib.sha256()
        files: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
        labels: dict[str, list[int]] = {split: [] for split in files}
        classes: list[str] = []
        for part in parts or [""]:
            inside = self._classes(self.root / part)
            classes = classes or inside
            if unknown := sorted(set(inside) - set(classes)):
                raise _unfit(self.root / part, "the classes of train", f"also {unknown[0]!r}")
            numbers = {name: number for number, name in enumerate(classes)}
            for name in inside:
                for image, length in self._images(self.root / part / name):
                    path = f"{part}/{name}/{image}".removeprefix("/")
                    digest.update(f"{path}\0{length}\0".encode(errors="surrogateescape"))
                    split = split_of(f"{name}/{image}", *_HELD_OUT[part])
                    files[split].append(path)
                    labels[split].append(numbers[name])
        for split, paths in files.items():
            if not paths:
                total = sum(map(len, files.values()))
                raise _unfit(self.root, "images for every split", f"none for {split} of {total}")
        return Listing(
            tuple(classes),
            {split: tuple(paths) for split, paths in files.items()},
            {split: tuple(numbers) for split, numbers in labels.items()},
            digest.hexdigest(),
            self.skipped,
        )

    def _classes(self, folder: Path) -> list[str]:
        """The sorted sub-folders of a folder.

        Raises: RunError if the folder does not exist or has none.
        """
        if not folder.is_dir():
            raise RunError(
                f"image-folder: expected a folder {folder}, got none; "
                "name one with a sub-folder of images for each class, or with train and val that have them"
            )
        names = []
        for entry in _entries(folder):
            if self._hidden(entry):
                continue
            if _is_folder(entry):
                names.append(entry.name)
            else:
                self._skip("in no class", entry)
        if not names:
            raise _unfit(folder, "a sub-folder of images for each class", "none")
        return sorted(names)

    def _images(self, folder: Path) -> list[tuple[str, int]]:
        """The images of a class, in its folder and in all folders inside, sorted by path, with lengths in bytes.

        Raises: RunError if there are none, or one is a link to nothing or no regular file.
        """
        images, folders = [], [""]
        while folders:
            inside = folders.pop()
            for entry in _entries(folder / inside):
                if self._hidden(entry):
                    continue
                if _is_folder(entry):
                    folders.append(f"{inside}{entry.name}/")
                elif os.path.splitext(entry.name)[1].lower() not in SUFFIXES:  # noqa: PTH122
                    self._skip("not an image by its suffix", entry)
                elif entry.is_file():
                    images.append((f"{inside}{entry.name}", entry.stat().st_size))
                else:
                    got = "a link to nothing" if entry.is_symlink() else "no regular file"
                    raise _unfit(Path(entry.path), "an image", f"{got}; remove it")
        if not images:
            expected = f"images ({', '.join(f'*{suffix}' for suffix in sorted(SUFFIXES))})"
            left_out = ", ".join(f"{each.number} {why}" for why, each in self.skipped.items())
            raise _unfit(folder, expected, f"none (left out so far: {left_out})" if left_out else "none")
        return sorted(images)

    def _hidden(self, entry: os.DirEntry[str]) -> bool:
        """Whether the user has not put it there; if so it is left out."""
        hidden = entry.name.startswith(".") or entry.name.lower() in OF_SYSTEMS
        if hidden:
            self._skip("hidden or of a system", entry)
        return hidden

    def _skip(self, reason: Reason, entry: os.DirEntry[str]) -> None:
        path = Path(entry.path).relative_to(self.root).as_posix()
        before = self.skipped.get(reason, Skipped(0, path))
        self.skipped[reason] = Skipped(before.number + 1, min(before.first, path))


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from entries


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder, or a link to one.

    Raises: RunError if it is a link to a folder on its own path, below which images would be endless.
    """
    folder, path = entry.is_dir(), Path(entry.path)
    if folder and entry.is_symlink() and path.resolve() in map(Path.resolve, path.parents):
        raise _unfit(path, "no link to a folder above", "one; remove it")
    return folder


def _unfit(folder: Path, expected: str, got: str) -> RunError:
    return RunError(f"image-folder: {folder}: expected {expected}, got {got}")
