"""Where images lie inside archives: a table, made once by reading everything, and kept in the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
import zipfile
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from crt_data.listing import Reason, Skipped, split_of
from crt_data.readers import Place
from crt_nn.native.compiler import cache_folder
from crtcore.errors import RunError

FORMAT = 1
"""Number of the form of a kept table; one of another form is made again."""
SETTLED = 2.0
"""Seconds after a change before which a table is not kept: a file may change again within its clock's tick."""
TRIED = 64
"""Images, evenly spaced, that are read whenever a kept table is used."""
LARGEST = 2**30
"""The most bytes of an image: what a list says is made room for when it is read."""
SPLITS = ("train", "validation", "test")
HELD_OUT: Mapping[str, tuple[int, int]] = {"": (5, 5), "train": (1, 0), "val": (0, 100)}
"""Percent of images for validation and for test, by the part that they are in."""
COLUMNS = (
    ("files", "i"),
    ("offsets", "q"),
    ("stored", "q"),
    ("lengths", "q"),
    ("methods", "B"),
    ("crcs", "I"),
    ("skips", "q"),
    ("wholes", "q"),
)
Member: TypeAlias = tuple[int, int, int, int, int, int, int, int, str]
"""A place of `PackedReader`."""


@attrs.frozen(kw_only=True, eq=False)
class Index:
    """The images of a data set."""

    columns: Mapping[str, NDArray[Any]]
    """`COLUMNS`, with `names`, `labels` and `splits`, an entry for each image."""
    classes: int | None
    checksum: str
    """SHA-256 of names, lengths and whole contents of the archives."""
    skipped: Mapping[str, Mapping[str, Any]]

    def places(self, split: str) -> Places:
        """The places of the images of a split."""
        return Places(self.columns, np.flatnonzero(self.columns["splits"] == SPLITS.index(split)))

    def labels(self, split: str) -> NDArray[Any]:
        """The classes of the images of a split."""
        chosen: NDArray[Any] = self.columns["labels"][self.columns["splits"] == SPLITS.index(split)]
        return chosen


class Places(Sequence[Place]):
    """The places of some images, taken from a table when they are asked for."""

    def __init__(self, columns: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> None:
        self._columns = columns
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: Any) -> Any:
        row = self._rows[place]
        numbers = (int(self._columns[name][row]) for name, _ in COLUMNS)
        return (*numbers, self._columns["names"][row].decode(errors="surrogateescape"))


class Builder:
    """A table that is being made."""

    def __init__(self, owner: str, top: Path) -> None:
        self.owner = owner
        self.top = top
        self.classes: Sequence[str] = ()
        """Names of the classes, where they have names."""
        self._columns = {name: array(kind) for name, kind in COLUMNS}
        self._names: list[bytes] = []
        self._labels, self._splits, self._parts = array("q"), array("B"), array("B")
        self._skipped: dict[Reason, Skipped] = {}

    def add(self, member: Member, *, key: str, part: str, label: int) -> None:
        """Adds an image of a part: `train`, `val` or none; a hash of `key` determines its split.

        Raises: RunError if it is larger than `LARGEST`.
        """
        *numbers, name = member
        if max(member[3], member[7]) > LARGEST:
            raise self.unfit(f"images of at most {LARGEST:,} bytes", f"{max(member[3], member[7]):,} in {name!r}")
        for number, column in zip(numbers, self._columns.values(), strict=True):
            column.append(number)
        self._names.append(name.encode(errors="surrogateescape"))
        self._labels.append(label)
        self._splits.append(SPLITS.index(split_of(key, *HELD_OUT[part])))
        self._parts.append(part == "val")

    def skip(self, reason: Reason, name: str) -> None:
        """Counts something that is left out."""
        before = self._skipped.get(reason, Skipped(0, name))
        self._skipped[reason] = Skipped(before.number + 1, min(before.first, name))

    def index(self, checksum: str, classes: int | None = None, *, labelled: bool = True) -> Index:
        """The table; `classes` is one more than the greatest label where none is given.

        Raises: RunError if a split has no images, or an image a class that there is not.
        """
        labels, splits = np.array(self._labels, np.int64), np.array(self._splits, np.uint8)
        for number, split in enumerate(SPLITS):
            if not (splits == number).any():
                raise self.unfit("images for every split", f"none for {split} of {len(splits)}")
        if labelled:
            known = labels[~np.array(self._parts, bool)]
            classes = int(known.max()) + 1 if classes is None else classes
            for row in np.flatnonzero((labels < 0) | (labels >= classes))[:1]:
                name = self._names[row].decode(errors="replace")
                raise self.unfit(f"classes from 0 to {classes - 1}, as in training", f"{labels[row]} of {name!r}")
        columns = {name: np.array(column) for name, column in self._columns.items()}
        skipped: dict[str, dict[str, Any]] = {why: each._asdict() for why, each in self._skipped.items()}
        columns |= {"names": np.array(self._names), "labels": labels, "splits": splits}
        return Index(columns=columns, classes=classes if labelled else None, checksum=checksum, skipped=skipped)

    def unfit(self, expected: str, got: str, where: str = "") -> RunError:
        """The error of archives that are not what was expected."""
        return RunError(f"{self.owner}: {where or self.top}: expected {expected}, got {got}")


def kept(
    owner: str, top: Path, paths: Sequence[Path], about: Mapping[str, Any],
    make: Callable[[], Index], read: Callable[[Place], object],
) -> Index:  # fmt: skip
    """The table of archives, made if none is kept that has the same names, lengths, times of change and `about`.

    Of one that was kept, `TRIED` images are read.
    Raises: RunError as `make` and `read` do, or if an archive cannot be read.
    """
    stamps: list[tuple[str, int, int]] = []
    for path in paths:
        try:
            state = path.stat()
        except OSError as error:
            raise RunError(f"{owner}: {path}: expected something that can be read, got {error.strerror}") from error
        stamps.append((str(path), state.st_size, state.st_mtime_ns))
    plain = json.dumps([FORMAT, owner, dict(about), stamps], sort_keys=True)
    name = hashlib.sha256(json.dumps([owner, str(top), dict(about)], sort_keys=True).encode()).hexdigest()
    where = cache_folder("crt-data") / f"{name}.npz"
    if index := _loaded(where, plain):
        rows = len(index.columns["names"])
        everything = Places(index.columns, np.arange(rows))
        for place in sorted({number * (rows - 1) // (TRIED - 1) for number in range(TRIED)}):
            read(everything[place])
        return index
    index = make()
    if max(changed for *_, changed in stamps) < (time.time() - SETTLED) * 1e9:
        _save(where, plain, index)
    return index


def checksum_of(digests: Mapping[str, tuple[int, str]]) -> str:
    """SHA-256 of the lengths and digests of archives, by name."""
    lines = (f"{name}\0{size}\0{digest}\0" for name, (size, digest) in sorted(digests.items()))
    return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()


def _loaded(where: Path, plain: str) -> Index | None:
    """The table at a place; None if there is none, or it is of another state, or damaged: it is made again then."""
    try:
        with np.load(where, allow_pickle=False) as file:
            columns = {name: file[name] for name in file.files}
            about = json.loads(columns.pop("about").tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    if about.pop("state") != plain:
        return None
    return Index(columns=columns, **about)


def _save(where: Path, plain: str, index: Index) -> None:
    """Keeps a table; where the cache cannot be written, it is made again next time."""
    about = {"state": plain, "classes": index.classes, "checksum": index.checksum, "skipped": index.skipped}
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=where.parent, suffix=".npz", delete=False) as file:
            try:
                np.savez(
                    file, allow_pickle=False, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **index.columns
                )
                file.close()
                os.replace(file.name, where)  # noqa: PTH105
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError:
        return
