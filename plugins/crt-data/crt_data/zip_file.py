"""Images in a zip with a folder for each class, read where they lie."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from crt_data.images import Images
from crt_data.index import Builder, Index, checksum_of, kept
from crt_data.listing import OF_SYSTEMS, SUFFIXES
from crt_data.readers import DEFLATED, STORED, PackedReader
from crt_data.specs import ImageZip
from crt_data.tar_shards import source_of
from crt_nn.foreign import instead

OWNER = "image-zip"
KAGGLE = "ILSVRC/Data/CLS-LOC/"
"""The folder of images in Kaggle's archive of ImageNet."""
SOLUTION = "LOC_val_solution.csv"
"""The classes of its `val`, whose images have no folders: lines of a name, and of a class with boxes."""
ENCRYPTED = 1
"""The flag of an encrypted member."""


def zip_images(spec: ImageZip) -> Images:
    """The images of a zip.

    Raises: RunError if it cannot be used.
    """
    path = Path(spec.file).absolute()
    builder = Builder(OWNER, path)
    if got := instead(path):
        raise builder.unfit("a zip", got)
    arguments = ("packed", OWNER, [str(path)])
    index = kept(OWNER, path, [path], {}, lambda: _made(builder), PackedReader(*arguments[1:]).content)
    return Images(spec, source_of(index, arguments))


def _made(builder: Builder) -> Index:
    """The table of a zip, by its list; all of it is read for the checksum."""
    try:
        with builder.top.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = {each.filename: each for each in _files(builder, archive)}
            top = _top(members)
            solution = archive.read(SOLUTION) if SOLUTION in members else None
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = builder.top.stat().st_size
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, RuntimeError) as error:
        raise builder.unfit("a zip", f"one that cannot be read ({error}); fetch it again") from error
    _add(builder, members, top, solution)
    return builder.index(checksum_of({"": (size, digest)}), len(builder.classes))


def _files(builder: Builder, archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """The files of a zip that a user has put there.

    Raises: RunError if two have one name.
    """
    seen = set()
    for member in archive.infolist():
        if member.is_dir():
            continue
        name = member.filename
        if name in seen:
            raise builder.unfit("one member of a name", f"two called {name!r}")
        seen.add(name)
        if any(part.startswith(".") or part.lower() in OF_SYSTEMS for part in name.split("/")):
            builder.skip("hidden or of a system", name)
            continue
        yield member


def _top(members: Mapping[str, zipfile.ZipInfo]) -> str:
    """The folder of the zip that has the classes, or train and val."""
    if any(name.startswith(KAGGLE) for name in members):
        return KAGGLE
    images = [name for name in members if _is_image(name)]
    top = ""
    while True:
        inside = {name.removeprefix(top).partition("/")[0] for name in images}
        if (
            len(inside) != 1
            or inside <= {"train", "val"}
            or not all(name.removeprefix(top).count("/") >= 2 for name in images)
        ):
            return top
        top += f"{inside.pop()}/"


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES


def _add(builder: Builder, members: Mapping[str, zipfile.ZipInfo], top: str, solution: bytes | None) -> None:
    """Adds the images of a zip, by class and name, as `image-folder` has them.

    Raises: RunError if there are no images, a class is in `val` alone, or a member cannot be read.
    """
    paths = {name: name.removeprefix(top).split("/") for name in members if name.startswith(top)}
    parts = {path[0] for path in paths.values() if len(path) > 1} & {"train", "val"}
    if len(parts) == 1:
        raise builder.unfit("folders train and val, or neither", f"{parts.pop()} alone", f"{builder.top}: {top!r}")
    classes_of = _solved(builder, solution)
    by_part: dict[str, list[tuple[str, str, str]]] = {}
    for name in members:
        part, *rest = paths.get(name, [""])
        if not parts:
            part, rest = "", paths.get(name, [name])
        elif part not in parts:
            builder.skip("beside train and val", name)
            continue
        if not _is_image(name):
            builder.skip("not an image by its suffix", name)
        elif len(rest) > 1:
            by_part.setdefault(part, []).append((rest[0], "/".join(rest), name))
        elif part == "val" and Path(name).stem in classes_of:
            class_name = classes_of[Path(name).stem]
            by_part.setdefault(part, []).append((class_name, f"{class_name}/{rest[0]}", name))
        else:
            builder.skip("in no class", name)
    if not by_part.get("train" if parts else ""):
        raise builder.unfit("a folder of images for each class", "none", f"{builder.top}: {top!r}" if top else "")
    classes = builder.classes = sorted({each[0] for each in by_part["train" if parts else ""]})
    numbers = {name: number for number, name in enumerate(classes)}
    for part, images in by_part.items():
        for class_name, key, name in sorted(images):
            if class_name not in numbers:
                raise builder.unfit("the classes of train", f"also {class_name!r}, of {name!r}")
            _add_one(builder, members[name], key, part, numbers[class_name])


def _add_one(builder: Builder, member: zipfile.ZipInfo, key: str, part: str, label: int) -> None:
    if member.flag_bits & ENCRYPTED or member.compress_type not in (STORED, DEFLATED):
        kind = "an encrypted one" if member.flag_bits & ENCRYPTED else f"method {member.compress_type}"
        raise builder.unfit("stored or deflated members", f"{kind} ({member.filename!r}); pack it anew")
    place = (0, member.header_offset, member.compress_size, member.file_size, member.compress_type, member.CRC)
    builder.add((*place, 0, 0, member.filename), key=key, part=part, label=label)


def _solved(builder: Builder, solution: bytes | None) -> Mapping[str, str]:
    """The class of each image of `val`, by its name without suffix.

    Raises: RunError if a line has none.
    """
    if solution is None:
        return {}
    rows: Sequence[Sequence[str]] = list(csv.reader(io.StringIO(solution.decode(errors="replace"))))
    classes = {}
    for row in rows[1:]:
        if len(row) != 2 or not row[1].split():
            raise builder.unfit("a name and a class with boxes", repr(row), f"{builder.top}: {SOLUTION!r}")
        classes[row[0]] = row[1].split()[0]
    return classes
