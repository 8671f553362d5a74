"""Images in Parquet files of the layout of Hugging Face: rows with the bytes of an image and a class."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crt_data.images import Images
from crt_data.index import Builder, Index, checksum_of, kept
from crt_data.parquet_rows import RowReader, images_of, parquet
from crt_data.parts import Archive, archives
from crt_data.specs import ImageParquet
from crt_data.tar_shards import source_of
from crtcore.errors import RunError, in_one_line

OWNER = "image-parquet"


def parquet_images(spec: ImageParquet) -> Images:
    """The images of the Parquet files in a folder.

    Raises: RunError if the folder or a file cannot be used.
    """
    top = Path(spec.folder).absolute()
    builder = Builder(OWNER, top)
    files = archives(builder, ".parquet")
    paths = [file.path for file in files]
    arguments = ("parquet", OWNER, list(map(str, paths)), spec.image)
    about = {"image": spec.image, "label": spec.label}
    index = kept(OWNER, top, paths, about, lambda: _made(builder, files, spec), RowReader(*arguments[1:]).content)
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
    opened = parquet().ParquetFile(file.path, memory_map=True)
    schema = opened.schema_arrow
    _check(builder, file, schema, spec)
    own = _class_names(schema, spec.label)
    if names and own and own != names:
        raise builder.unfit("the class names of the files before", "others", str(file.path))
    columns = [f"{spec.image}.bytes", *([f"{spec.image}.path"] if _has_paths(schema, spec.image) else [])]
    for group in range(opened.num_row_groups):
        table = opened.read_row_group(group, columns=columns + ([spec.label] if spec.label else []))
        images = images_of(table, spec.image)
        labels = table.column(spec.label).to_pylist() if spec.label else [-1] * len(images)
        paths = [None] * len(images)
        if len(columns) > 1:
            paths = table.column(spec.image).combine_chunks().field("path").to_pylist()
        for row, (image, label, path) in enumerate(zip(images, labels, paths, strict=True)):
            where = f"{file.path}: row {row} of row group {group}"
            if not image.is_valid:
                raise builder.unfit(f"bytes in the column {spec.image!r}", f"none, but the path {path!r}", where)
            if spec.label and (label is None or label < 0):
                raise builder.unfit(f"a class from 0 in {spec.label!r}", repr(label), where)
            content = image.as_buffer()
            place = (number, group, row, len(content), 0, zlib.crc32(content), path or "")
            builder.add(place, key=f"{file.name}/{group}/{row}", part=file.part, label=label)
    return own or names


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


def _has_paths(schema: Any, image: str) -> bool:
    kind = schema.field(image).type
    return any(kind.field(place).name == "path" for place in range(kind.num_fields))


def _class_names(schema: Any, label: str) -> Sequence[str] | None:
    """The names of classes that `datasets` writes into a file, if it has."""
    try:
        about = json.loads((schema.metadata or {})[b"huggingface"])
        names = about["info"]["features"][label]["names"]
    except (KeyError, ValueError, TypeError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None
