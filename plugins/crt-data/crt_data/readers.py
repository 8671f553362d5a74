"""Readers of images by place: in files of their own, or inside archives by offset; free of torch.

A place is what one reading needs, as plain values, so that a process that decodes needs no list of all images.
Axes: c colour channels, h height, w width.
"""

from __future__ import annotations

import io
import os
import struct
import threading
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crt_data.crops import ZOOM, centre_crop, random_crop
from crt_data.decoding import PIXELS, decode_image, open_image, unreadable
from crtcore.errors import RunError

Place: TypeAlias = Sequence[Any]
"""Where an image lies: what its reader needs, of plain values."""
STRETCHED = 3 * PIXELS
"""The most pixels of an image once its shorter side is resized: ten times as long as wide at 4,096 pixels."""
OPEN = 64
"""Archives that are kept open."""
STORED, DEFLATED = 0, 8
"""Methods of a zip, whose members have headers of their own."""
BARE = 100
"""The method of bytes that lie as they are, without a header: those of a tar."""
PAGE_METHODS = {"UNCOMPRESSED": BARE, "SNAPPY": 101, "GZIP": 102, "BROTLI": 103, "ZSTD": 104, "LZ4": 105}
"""Methods of pages of Parquet, by pyarrow's names; its LZ4 is without frames."""
FRAGMENTS = 106
"""The method of a part of what snappy has compressed, without the length of the whole."""
_HEADER = struct.Struct("<4s22xHH")


@runtime_checkable
class Reader(Protocol):
    """Reads images by their places."""

    owner: str
    """The component that errors begin with."""

    def image(self, place: Place) -> Image.Image:
        """The image at a place, in colour.

        Raises: RunError if it cannot be read.
        """

    def where(self, place: Place) -> str:
        """The file and member of a place, for errors."""


def reader(kind: str, owner: str, *arguments: Any) -> Reader:
    """The reader of a kind: `files` or `packed`."""
    return FileReader(owner, *arguments) if kind == "files" else PackedReader(owner, *arguments)


def pixels(source: Reader, place: Place, size: int, words: Sequence[int] | None) -> NDArray[np.uint8]:
    """The crop of the image at a place, c h w: random by four words, or central without them.

    Raises: RunError if the image cannot be read, or is too long for its crops.
    """
    image = source.image(place)
    if max(image.size) * (size / ZOOM) ** 2 > STRETCHED * min(image.size):
        why = f"too long for crops of {size}: {image.width} x {image.height}"
        raise unreadable(source.where(place), why, source.owner)
    image = centre_crop(image, size) if words is None else random_crop(image, size, words)
    return np.asarray(image).transpose(2, 0, 1)


class FileReader:
    """Images in files of a folder; a place is the path inside it."""

    def __init__(self, owner: str, folder: str) -> None:
        self.owner = owner
        self._folder = Path(folder)

    def image(self, place: Place) -> Image.Image:
        """The image in a file.

        Raises: RunError if it cannot be read.
        """
        return open_image(self._folder / place[0], self.owner)

    def where(self, place: Place) -> str:
        """The path of a file."""
        return str(self._folder / place[0])


class PackedReader:
    """Images inside archives, read where an index says that they lie; each is checked by its CRC-32.

    A place is: number of the archive, offset, bytes there, bytes of the content, method, CRC-32, bytes before and
    length of what is decompressed (0 but in Parquet), name.
    """

    def __init__(self, owner: str, paths: Sequence[str]) -> None:
        self.owner = owner
        self._paths = paths
        self._files: OrderedDict[int, _Opened] = OrderedDict()
        self._lock = threading.Lock()

    def where(self, place: Place) -> str:
        """The archive and the name of a member."""
        return f"{self._paths[place[0]]}: {place[8]!r}"

    def image(self, place: Place) -> Image.Image:
        """The image in a member.

        Raises: RunError if it cannot be read, or has another content than its index says.
        """
        return decode_image(io.BytesIO(self.content(place)), self.where(place), self.owner)

    def content(self, place: Place) -> bytes:
        """The bytes of a member.

        Raises: RunError if they are not there, or differ from what the index says.
        """
        number, offset, stored, size, method, crc, skip, whole, _ = place
        try:
            file = self._opened(number)
            if method < BARE:
                mark, name, extra = _HEADER.unpack(os.pread(file.number, _HEADER.size, offset))
                if mark != b"PK\3\4":
                    raise ValueError("no member begins where the list of the zip says")
                offset += _HEADER.size + name + extra
            raw = os.pread(file.number, stored, offset)
            if len(raw) < stored:
                raise ValueError(f"expected {stored} bytes, got {len(raw)}: the archive is cut short")
            content = decompressed(raw, method, whole or size)[skip : skip + size] if raw else raw
        except (OSError, ValueError, struct.error, zlib.error) as error:
            raise self._damaged(place, str(error)) from error
        if len(content) != size or zlib.crc32(content) != crc:
            raise self._damaged(place, f"expected CRC-32 {crc:08x}, got {zlib.crc32(content):08x}")
        return content

    def _damaged(self, place: Place, why: str) -> RunError:
        return RunError(
            f"{self.owner}: cannot read {self.where(place)} ({why}); the archive is damaged or was changed: "
            "fetch it again, or `touch` it if it is meant to be so"
        )

    def _opened(self, number: int) -> _Opened:
        with self._lock:
            if number not in self._files:
                self._files[number] = _Opened(self._paths[number])
                if len(self._files) > OPEN:
                    self._files.popitem(last=False)
            self._files.move_to_end(number)
            return self._files[number]


def decompressed(raw: bytes, method: int, length: int) -> bytes:
    """What a method has compressed, `length` bytes.

    Raises: ValueError or zlib.error if it cannot be decompressed, RunError if pyarrow is not installed.
    """
    if method in (STORED, BARE):
        return raw
    if method == DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw, length + 1)
    if method == FRAGMENTS:
        raw, method = _varint(length) + raw, PAGE_METHODS["SNAPPY"]
    content: bytes = _codec(method).decompress(raw, length, asbytes=True)
    return content


@cache
def _codec(method: int) -> Any:
    (name,) = (name for name, number in PAGE_METHODS.items() if number == method)
    return pyarrow().Codec("lz4_raw" if name == "LZ4" else name.lower())


def pyarrow() -> Any:
    """The package that reads Parquet.

    Raises: RunError if it is not installed.
    """
    try:
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise RunError(
            "image-parquet: expected the module 'pyarrow', got no such module; pip install 'crt-data[parquet]'"
        ) from error
    return pyarrow


def _varint(value: int) -> bytes:
    """The length that begins what snappy has compressed."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


class _Opened:
    """An open file, closed when nothing reads it any more: another thread may while it is dropped."""

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)
