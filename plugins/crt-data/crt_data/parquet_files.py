"""Images in Parquet files of the layout of Hugging Face: rows with the bytes of an image and a class."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

from crt_data.images import Images
from crt_data.index import Builder, Index, checksum_of, kept
from crt_data.parquet_pages import Page, pages
from crt_data.parts import Archive, archives
from crt_data.readers import PackedReader, pyarrow
from crt_data.specs import ImageParquet
from crt_data.tar_shards import source_of
from crtcore.errors import RunError, in_one_line

OWNER = "image-parquet"


def parquet_images(spec: ImageParquet) -> Images:
    """The images of the Parquet files in a folder.

    Raises: RunError if the folder or a file cannot be used.
    """
    pyarrow()
    top = Path(spec.folder).absolute()
    builder = Builder(OWNER, top)
    files = archives(builder, ".parquet")
    paths = [file.path for file in files]
    arguments = ("packed", OWNER, list(map(str, paths)))
    about = {"image": spec.image, "label": spec.label}
    index = kept(OWNER, top, paths, about, lambda: _made(builder, files, spec), PackedReader(*arguments[1:]).content)
    return Images(spec, source_of(index, arguments))


def _made(builder: Builder, files: Sequence[Archive], spec: ImageParquet) -> Index:
    """The table of files, each of which is read through."""
    digests, names = {}, None
    for number, file in enumerate(files):
        try:
            with file.path.open("rb") as raw:
                digests[file.name] = (file.path.stat().st_size, hashlib.file_digest(raw, "sha256").hexdigest())
            names = _add(builder, number, file, spec, names)
        except RunError:
            raise
        except Exception as error:  # of pyarrow's own kinds
            got = f"one that cannot be read ({in_one_line(error)}); fetch it again"
            raise builder.unfit("a Parquet file", got, str(file.path)) from error
    return builder.index(checksum_of(digests), len(names) if names else None, labelled=bool(spec.label))


def _add(
    builder: Builder, number: int, file: Archive, spec: ImageParquet, names: Sequence[str] | None
) -> Sequence[str] | None:
    """Adds the rows of a file; returns the names of the classes, if the file has them.

    Raises: RunError if a column is missing or of another kind, a row has no image or class, or names differ.
    """
    opened = pyarrow().parquet.ParquetFile(file.path, memory_map=True)
    schema = opened.schema_arrow
    _check(builder, file, schema, spec)
    own = _class_names(schema, spec.label)
    if names and own and own != names:
        raise builder.unfit("the class names of the files before", "others", str(file.path))
    with file.path.open("rb") as raw:
        for group in range(opened.num_row_groups):
            _add_group(builder, number, file, spec, Group(opened, raw, group))
    return own or names


class Group(NamedTuple):
    """A row group of a file."""

    opened: Any
    raw: BufferedReader
    number: int

    def images(self, column: str) -> Any:
        """The structs of its images, one array."""
        return self.opened.read_row_group(self.number, columns=[column]).column(column).combine_chunks()

    def pages(self, column: str) -> list[Page]:
        """The pages with the bytes of its images."""
        about = self.opened.metadata.row_group(self.number)
        columns = [about.column(place) for place in range(about.num_columns)]
        (own,) = (each for each in columns if each.path_in_schema == f"{column}.bytes")
        return list(pages(self.raw, own))


def _add_group(builder: Builder, number: int, file: Archive, spec: ImageParquet, group: Group) -> None:
    """Adds the rows of a row group.

    Raises: RunError if a row has no image or class.
    """
    structs = group.images(spec.image)
    images = structs.field("bytes")
    paths = structs.field("path").to_pylist() if _has_paths(structs.type) else [None] * len(images)
    labels: list[Any] = [-1] * len(images)
    if spec.label:
        labels = group.opened.read_row_group(group.number, columns=[spec.label]).column(spec.label).to_pylist()
    cursor = Cursor(group.pages(spec.image))
    for row, (image, label, path) in enumerate(zip(images, labels, paths, strict=True)):
        name = f"row {row} of row group {group.number}{f', {path}' if path else ''}"
        if not image.is_valid:
            where = f"{file.path}: {name!r}"
            raise builder.unfit(f"bytes in the column {spec.image!r}", "none: they are in a file of that path", where)
        if spec.label and (label is None or label < 0):
            raise builder.unfit(f"a class from 0 in {spec.label!r}", repr(label), f"{file.path}: {name!r}")
        content = image.as_buffer().to_pybytes()
        offset, stored, method, skip, whole = cursor.located(content)
        place = (number, offset, stored, len(content), method, zlib.crc32(content), skip, whole, name)
        builder.add(place, key=f"{file.name}/{group.number}/{row}", part=file.part, label=label)


class Cursor:
    """Looks for values in pages, where they lie one after another unless one came before."""

    def __init__(self, pages: Sequence[Page]) -> None:
        self._pages = pages
        self._page = self._at = 0

    def located(self, content: bytes) -> tuple[int, int, int, int, int]:
        """Where a value lies, as `Page.located` gives it.

        Raises: ValueError if it lies nowhere in one piece.
        """
        later = ((page, self._at if page == self._page else 0) for page in range(self._page, len(self._pages)))
        for page, start in (*later, *((page, 0) for page in range(len(self._pages)))):
            if (at := self._pages[page].content.find(content, start)) >= 0:
                self._page, self._at = page, at + len(content)
                return self._pages[page].located(at, len(content))
        raise ValueError("an image does not lie in one piece: write the file again with plain or dictionary encoding")


def _check(builder: Builder, file: Archive, schema: Any, spec: ImageParquet) -> None:
    """Checks the columns of a file.

    Raises: RunError if one is missing or of another kind.
    """
    import pyarrow.types as kinds

    there = ", ".join(map(repr, schema.names))
    for field, name in (("image", spec.image), ("label", spec.label)):
        if name and name not in schema.names:
            raise builder.unfit(f"a column {name!r}", f"{there}; set `{field}`", str(file.path))
    kind = schema.field(spec.image).type
    names = [kind.field(place).name for place in range(kind.num_fields)] if kinds.is_struct(kind) else []
    if "bytes" not in names or not kinds.is_binary(kind.field("bytes").type):
        raise builder.unfit(f"a struct with bytes in {spec.image!r}", f"{kind}; set `image`", str(file.path))
    if spec.label and not kinds.is_integer(schema.field(spec.label).type):
        got = f"{schema.field(spec.label).type}; set `label` to a column of them, or to ''"
        raise builder.unfit(f"integers in {spec.label!r}", got, str(file.path))


def _has_paths(kind: Any) -> bool:
    return any(kind.field(place).name == "path" for place in range(kind.num_fields))


def _class_names(schema: Any, label: str) -> Sequence[str] | None:
    """The names of classes that `datasets` writes into a file, if it has."""
    try:
        about = json.loads((schema.metadata or {})[b"huggingface"])
        names = about["info"]["features"][label]["names"]
    except (KeyError, ValueError, TypeError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None
