"""Where values lie in the pages of a Parquet file, so that one can be read without the rest of its row group.

A page of 100 images is some megabytes, compressed as a whole. Snappy compresses each 64 KiB by itself, and leaves
photographs as they are: those parts that hold a value are decompressed alone.
Source: github.com/apache/parquet-format, parquet.thrift; github.com/google/snappy, format_description.txt and snappy.cc
(kBlockSize); github.com/apache/thrift, doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BufferedReader
from typing import Any, NamedTuple

from crt_data.readers import FRAGMENTS, PAGE_METHODS, decompressed

FRAGMENT = 2**16
"""Bytes that snappy compresses by themselves."""
HEAD = 2**20
"""The most bytes of the header of a page."""
DATA_V2 = 3
"""The type of a page whose levels lie before what is compressed."""
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _STRUCT = 1, 2, 3, 7, 8, 12
_INTEGERS = (4, 5, 6)


class Page(NamedTuple):
    """The values of a page, and where they lie in the file."""

    content: bytes
    """Decompressed."""
    offset: int
    stored: int
    """Bytes in the file."""
    method: int
    marks: Sequence[int]
    """Where each part of `FRAGMENT` bytes begins in what is stored, and the end; none: parts need each other."""

    def located(self, at: int, length: int) -> tuple[int, int, int, int, int]:
        """Offset, bytes in the file, method, bytes before and length once decompressed, for a value in it."""
        if self.method == PAGE_METHODS["UNCOMPRESSED"]:
            return self.offset + at, length, self.method, 0, length
        if not self.marks:
            return self.offset, self.stored, self.method, at, len(self.content)
        first, last = at // FRAGMENT, (at + max(length, 1) - 1) // FRAGMENT
        begin, end = self.marks[first], self.marks[last + 1]
        whole = min((last + 1) * FRAGMENT, len(self.content)) - first * FRAGMENT
        return self.offset + begin, end - begin, FRAGMENTS, at - first * FRAGMENT, whole


def pages(file: BufferedReader, column: Any) -> Iterator[Page]:
    """The pages of a column in a row group, dictionaries among them, as pyarrow's metadata describe it.

    Raises: ValueError if they are not what the format says, or compressed by another method.
    """
    starts = [each for each in (column.dictionary_page_offset, column.data_page_offset) if each]
    at, end = min(starts), min(starts) + column.total_compressed_size
    if column.compression not in PAGE_METHODS:
        raise ValueError(f"expected a compression of {', '.join(PAGE_METHODS)}, got {column.compression}")
    while at < end:
        file.seek(at)
        head, size = _fields(file.read(min(HEAD, end - at)), 0)
        whole, stored = head[2], head[3]
        file.seek(at + size)
        raw = file.read(stored)
        if len(raw) < stored:
            raise ValueError("a page is cut short")
        levels, method = 0, PAGE_METHODS[column.compression]
        if head[1] == DATA_V2:
            levels = head[8].get(5, 0) + head[8].get(6, 0)
            method = method if head[8].get(7, True) else PAGE_METHODS["UNCOMPRESSED"]
        content = decompressed(raw[levels:], method, whole - levels)
        marks = fragments(raw[levels:]) if method == PAGE_METHODS["SNAPPY"] else ()
        yield Page(content, at + size + levels, stored - levels, method, marks)
        at += size + stored


def fragments(raw: bytes) -> Sequence[int]:
    """Where each part of `FRAGMENT` bytes of what snappy compressed begins, and the end; empty if a part needs another.

    Raises: IndexError if it is cut short.
    """
    at = 0
    while raw[at] & 0x80:  # the length of the whole
        at += 1
    at += 1
    marks, out = [at], 0
    while at < len(raw):
        tag = raw[at]
        kind, length, back = tag & 3, (tag >> 2) + 1, 0
        if kind == 0:
            more = max(length - 60, 0)
            length = int.from_bytes(raw[at + 1 : at + 1 + more], "little") + 1 if more else length
            at += 1 + more + length
        elif kind == 1:
            length, back = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | raw[at + 1]
            at += 2
        else:
            wide = 2 if kind == 2 else 4
            back = int.from_bytes(raw[at + 1 : at + 1 + wide], "little")
            at += 1 + wide
        edge = FRAGMENT * len(marks)
        if back > out - (edge - FRAGMENT) or out + length > edge:
            return ()
        out += length
        if out == edge:
            marks.append(at)
    return marks if marks[-1] == len(raw) else [*marks, len(raw)]


def _fields(raw: bytes, at: int) -> tuple[dict[int, Any], int]:
    """The fields of a struct of Thrift's compact protocol at a place, by number, and where it ends.

    Raises: ValueError if it is none that a header of a page has, or is cut short.
    """
    fields: dict[int, Any] = {}
    number = 0
    try:
        while raw[at]:
            kind, step = raw[at] & 15, raw[at] >> 4
            at += 1
            if step:
                number += step
            else:
                number, at = _integer(raw, at)
            if kind in (_TRUE, _FALSE):
                fields[number] = kind == _TRUE
            elif kind in _INTEGERS:
                fields[number], at = _integer(raw, at)
            elif kind == _STRUCT:
                fields[number], at = _fields(raw, at)
            elif kind == _BINARY:
                length, at = _varint(raw, at)
                at += length
            elif kind in (_BYTE, _DOUBLE):
                at += 1 if kind == _BYTE else 8
            else:
                raise ValueError(f"expected the header of a page, got a field of type {kind}")
        return fields, at + 1
    except IndexError:
        raise ValueError("the header of a page is cut short") from None


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (raw[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not raw[at - 1] & 0x80:
            return value, at


def _integer(raw: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(raw, at)
    return value >> 1 ^ -(value & 1), at
