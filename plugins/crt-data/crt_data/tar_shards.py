"""Images in tar shards, in the layout of webdataset: members with one name and several suffixes are a sample.

Shards are read where they lie: once through for the table of offsets, and then by offset.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from crt_data.images import Images, Source
from crt_data.index import SPLITS, Builder, Index, Member, checksum_of, kept
from crt_data.listing import OF_SYSTEMS, SUFFIXES, Reason
from crt_data.parts import Archive, archives
from crt_data.readers import BARE, PackedReader
from crt_data.specs import ImageShards

OWNER = "image-shards"
CHUNK = 2**20
NAMED = re.compile(r"((?:.*/)?[^/.]+)\.([^/]+)", re.DOTALL)
"""A member's name: that of its sample up to the first dot of the last part, then what it is."""


class Sample(NamedTuple):
    """What is known of a sample of a shard."""

    key: str
    members: dict[str, Member]
    """By suffix."""
    label: bytes | None
    """The content of the member that has the class."""


def shard_images(spec: ImageShards) -> Images:
    """The images of tar shards in a folder.

    Raises: RunError if the folder or a shard cannot be used.
    """
    top = Path(spec.folder).absolute()
    builder = Builder(OWNER, top)
    shards = archives(builder, ".tar")
    paths = [shard.path for shard in shards]
    arguments = ("packed", OWNER, list(map(str, paths)))
    index = kept(
        OWNER, top, paths, {"label": spec.label}, lambda: _made(builder, shards, spec.label),
        PackedReader(*arguments[1:]).content,
    )  # fmt: skip
    return Images(spec, source_of(index, arguments))


def source_of(index: Index, arguments: tuple[Any, ...]) -> Source:
    """The images of a table, by the reader that `arguments` name."""
    return Source(
        reader=arguments,
        places={split: index.places(split) for split in SPLITS},
        labels={split: index.labels(split) for split in SPLITS},
        classes=index.classes,
        checksum=index.checksum,
        skipped=index.skipped,
    )


def _made(builder: Builder, shards: Sequence[Archive], label: str) -> Index:
    """The table of shards, each of which is read through."""
    digests = {}
    suffix, _, field = label.partition(".")
    for number, shard in enumerate(shards):
        digest = hashlib.sha256()
        for sample in _samples(builder, number, shard, suffix, digest):
            where = f"{shard.path}: {sample.key!r}"
            images = [member for kind, member in sample.members.items() if f".{kind}" in SUFFIXES]
            if len(images) != 1:
                names = ", ".join(sorted(sample.members))
                expected = f"one image ({', '.join(f'*{each}' for each in sorted(SUFFIXES))})"
                raise builder.unfit(expected, f"{len(images)} among {names}", where)
            class_id = _class_of(builder, where, sample.label, suffix, field) if label else -1
            builder.add(images[0], key=f"{shard.name}/{sample.key}", part=shard.part, label=class_id)
        digests[shard.name] = (shard.path.stat().st_size, digest.hexdigest())
    return builder.index(checksum_of(digests), labelled=bool(label))


def _class_of(builder: Builder, where: str, content: bytes | None, suffix: str, field: str) -> int:
    if content is None:
        raise builder.unfit(f"a member *.{suffix} with the class", "none; set `label` to where it is, or to ''", where)
    try:
        value = json.loads(content)
        for part in field.split(".") if field else ():
            value = value[part]
        if type(value) is not int or value < 0:
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        of = f" of the field {field!r}" if field else ""
        got = content[:60].decode(errors="replace")
        raise builder.unfit(f"a class from 0 in *.{suffix}{of}", repr(got), where) from None
    return value


def _samples(builder: Builder, number: int, shard: Archive, suffix: str, digest: Any) -> Iterator[Sample]:
    """The samples of a shard, in its order; `digest` is brought up to its whole content.

    Raises: RunError if it is no tar, is cut short, or members of a sample lie apart.
    """
    sample, finished = Sample("", {}, None), set()
    for name, member, content in _members(builder, number, shard, digest):
        named = NAMED.fullmatch(name)
        if not named:
            builder.skip("not an image by its suffix", f"{shard.name}/{name}")
            continue
        key, kind = named[1], named[2].lower()
        if key != sample.key:
            if sample.members:
                yield sample
            if key in finished:
                raise builder.unfit("members of a sample side by side", f"{name!r} apart", str(shard.path))
            finished.add(key)
            sample = Sample(key, {}, None)
        if kind in sample.members:
            raise builder.unfit(f"one member {kind!r} of a sample", f"another in {name!r}", str(shard.path))
        sample.members[kind] = member
        if kind == suffix:
            sample = sample._replace(label=content)
    if sample.members:
        yield sample


def _members(builder: Builder, number: int, shard: Archive, digest: Any) -> Iterator[tuple[str, Member, bytes]]:
    """Name, place and content of each file in a shard.

    Raises: RunError if it is no tar, is cut short or has a damaged header.
    """
    name = ""
    try:
        with shard.path.open("rb") as file:
            stream = _Hashed(file, digest)
            tar = tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK)  # type: ignore[call-overload]  # noqa: SIM115
            for about in tar:
                name = about.name.removeprefix("./")
                if not about.isreg() or _of_systems(name):
                    if not about.isdir():
                        reason: Reason = "hidden or of a system" if _of_systems(name) else "not an image by its suffix"
                        builder.skip(reason, f"{shard.name}/{name}")
                    continue
                inside = tar.extractfile(about)
                content = b"" if inside is None else inside.read()
                if len(content) < about.size:
                    raise tarfile.ReadError("unexpected end of data")
                place = (number, about.offset_data, len(content), len(content), BARE, zlib.crc32(content), 0, 0, name)
                yield name, place, content
            while rest := file.read(CHUNK):
                digest.update(rest)
            _check_end(file, tar.offset)
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        after = f" after {name!r}" if name else ""
        got = f"one that cannot be read{after} ({error}); fetch it again"
        raise builder.unfit("a tar without compression", got, str(shard.path)) from error


def _check_end(file: BinaryIO, offset: int) -> None:
    """Checks that nothing but the zeros of an end follows: `tarfile` takes a damaged header for the end too.

    Raises: ReadError if there is no end, or something behind it.
    """
    file.seek(offset)
    if len(rest := file.read(CHUNK)) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("the mark of its end is missing: it is cut short")
    while rest:
        if rest.strip(b"\0"):
            raise tarfile.ReadError("a damaged header, or another archive behind its end")
        rest = file.read(CHUNK)


def _of_systems(name: str) -> bool:
    """Whether a member is hidden, of a system, or about the archive itself, as webdataset's `__name__`."""
    parts = name.split("/")
    return any(part.startswith(".") or part.lower() in OF_SYSTEMS for part in parts) or bool(
        re.search("__[^/]*__($|/)", name)
    )


class _Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, file: Any, digest: Any) -> None:
        self._file = file
        self._digest = digest

    def read(self, size: int) -> bytes:
        """The next bytes."""
        content: bytes = self._file.read(size)
        self._digest.update(content)
        return content
