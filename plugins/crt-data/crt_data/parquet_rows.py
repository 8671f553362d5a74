"""Reads images in rows of Parquet files; free of torch."""

from __future__ import annotations

import io
import threading
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from PIL import Image

from crt_data.decoding import decode_image
from crt_data.readers import Place
from crtcore.errors import RunError, in_one_line

GROUPS = 8
"""Row groups that are kept."""
FILES = 64
"""Files that are kept open."""


def parquet() -> Any:
    """The module that reads Parquet.

    Raises: RunError if it is not installed.
    """
    try:
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise RunError(
            "image-parquet: expected the module 'pyarrow', got no such module; pip install 'crt-data[parquet]'"
        ) from error
    return pyarrow.parquet


class RowReader:
    """Images in the rows of files; each is checked by the CRC-32 of its index.

    A place is: number of the file, row group, row in it, bytes of the content, 0, CRC-32, name.
    """

    def __init__(self, owner: str, paths: Sequence[str], image: str) -> None:
        self.owner = owner
        self._paths = paths
        self._image = image
        self._parquet = parquet()
        self._files: OrderedDict[int, Any] = OrderedDict()
        self._groups: OrderedDict[tuple[int, int], Any] = OrderedDict()
        self._lock = threading.Lock()

    def where(self, place: Place) -> str:
        """The file, row group and row of an image, and its path if it has one."""
        return f"{self._paths[place[0]]}: row {place[2]} of row group {place[1]} {place[6]!r}"

    def image(self, place: Place) -> Image.Image:
        """The image in a row.

        Raises: RunError if it cannot be read, or has another content than its index says.
        """
        return decode_image(io.BytesIO(self.content(place)), self.where(place), self.owner)

    def content(self, place: Place) -> bytes:
        """The bytes of an image.

        Raises: RunError if they are not there, or differ from what the index says.
        """
        number, group, row, _, _, crc, _ = place
        try:
            content: bytes = self._group(number, group)[row].as_buffer().to_pybytes()
        except Exception as error:  # of pyarrow's own kinds
            raise self._damaged(place, in_one_line(error)) from error
        if zlib.crc32(content) != crc:
            raise self._damaged(place, f"expected CRC-32 {crc:08x}, got {zlib.crc32(content):08x}")
        return content

    def _damaged(self, place: Place, why: str) -> RunError:
        return RunError(
            f"{self.owner}: cannot read {self.where(place)} ({why}); the file is damaged or was changed: "
            "fetch it again, or `touch` it if it is meant to be so"
        )

    def _group(self, number: int, group: int) -> Any:
        """The images of a row group, as an array of bytes."""
        with self._lock:
            key = number, group
            if key not in self._groups:
                file = self._opened(number)
                self._groups[key] = images_of(file.read_row_group(group, columns=[f"{self._image}.bytes"]), self._image)
                if len(self._groups) > GROUPS:
                    self._groups.popitem(last=False)
            self._groups.move_to_end(key)
            return self._groups[key]

    def _opened(self, number: int) -> Any:
        if number not in self._files:
            self._files[number] = self._parquet.ParquetFile(self._paths[number], memory_map=True, pre_buffer=False)
            if len(self._files) > FILES:
                self._files.popitem(last=False)
        self._files.move_to_end(number)
        return self._files[number]


def images_of(table: Any, column: str) -> Any:
    """The bytes of the images of a row group, one array."""
    return table.column(column).combine_chunks().field("bytes")
