"""What happens to the bytes of files on their way."""

from __future__ import annotations

import os
import random as randoms
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

Random: TypeAlias = randoms.Random
Damage: TypeAlias = Callable[[Random, Path], str]
"""Damages a file; returns what it did."""
PAGE = b"<!DOCTYPE html>\n<html><head><title>404</title></head><body>The page was not found.</body></html>\n" * 9
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 1343\n" % (b"0" * 64)
OTHERS = {
    "an empty file": b"",
    "a page": PAGE,
    "a page with a mark": b"\xef\xbb\xbf \n" + PAGE,
    "a pointer": POINTER,
    "a hub's JSON": b'{"error": "Repository not found", "code": 404}' * 3,
    "a hub's text": b"Entry not found, or access to it is restricted",
    "gzip": b"\x1f\x8b\x08\x00" + bytes(range(1, 251)) * 4,
    "npy": b"\x93NUMPY\x01\0v\0" + bytes(range(1, 251)) * 4,
}
"""Whole files that stand in the place of another; none of them is ever right."""


def one_of(random: Random, folder: Path) -> Path:
    """A file below the folder."""
    return random.choice(sorted(path for path in folder.rglob("*") if path.is_file()))


def cut(random: Random, folder: Path) -> str:
    """Leaves the beginning of a file."""
    path = one_of(random, folder)
    size = random.randrange(path.stat().st_size)
    os.truncate(path, size)
    return f"{path.name} cut to {size}"


def flipped(random: Random, folder: Path) -> str:
    """Changes one to four bytes, near the beginning, near the end or anywhere."""
    path = one_of(random, folder)
    raw = bytearray(path.read_bytes())
    for _ in range(random.randint(1, 4)):
        span = min(len(raw), random.choice([16, 300, len(raw)]))
        place = random.choice([0, len(raw) - span]) + random.randrange(span)
        raw[place] = random.choice([raw[place] ^ 1 << random.randrange(8), random.randrange(256), 0, 255])
    path.write_bytes(raw)
    return f"{path.name} flipped"


def moved(random: Random, folder: Path) -> str:
    """Deletes, repeats, blanks or moves a piece, or adds one at the end."""
    path = one_of(random, folder)
    raw = path.read_bytes()
    start, other = (random.randrange(len(raw)) for _ in range(2))
    piece = raw[start : start + random.choice([1, 2, 8, 100, 4096])]
    end = start + len(piece)
    kind = random.choice(["deleted", "repeated", "blanked", "copied", "appended"])
    path.write_bytes(
        {
            "deleted": raw[:start] + raw[end:],
            "repeated": raw[:end] + raw[start:],
            "blanked": raw[:start] + bytes(len(piece)) + raw[end:],
            "copied": raw[:other] + piece + raw[other + len(piece) :],
            "appended": raw + piece,
        }[kind]
    )
    return f"{path.name}: {kind} {len(piece)} at {start}"


def replaced(random: Random, folder: Path) -> str:
    """Puts another file in the place of one."""
    path, kind = one_of(random, folder), random.choice(sorted(OTHERS))
    path.write_bytes(OTHERS[kind])
    return f"!{path.name} is {kind}"


def gone(random: Random, folder: Path) -> str:
    """Puts a folder, a broken or circular link, a pipe or nothing in the place of a file, or of its folder."""
    path = one_of(random, folder)
    path.unlink()
    kind = random.choice(["nothing", "folder", "broken", "circular", "pipe"])
    match kind:
        case "folder":
            path.mkdir()
        case "broken":
            path.symlink_to("nowhere")
        case "circular":
            path.symlink_to(path.name)
        case "pipe":
            os.mkfifo(path)
    return f"!{path.name} is {kind}"


def swapped(random: Random, folder: Path) -> str:
    """Puts one file of a folder in the place of another."""
    path, other = one_of(random, folder), one_of(random, folder)
    if path != other:
        path.write_bytes(other.read_bytes())
    return f"{path.name} is {other.name}"


BYTES: Sequence[Damage] = (cut, flipped, moved, replaced, gone, swapped)
