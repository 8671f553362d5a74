"""Ways to damage a file or a folder. Each returns what it did, in words; what does not apply flips a bit instead."""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path, random.Random], str]


def like(path: Path, rng: random.Random) -> Path | None:
    """Another file or folder of that name, in another run or stage."""
    runs = next(folder for folder in path.parents if folder.name == "runs")
    others = sorted(
        each for each in runs.rglob(path.name) if each not in (path, *path.parents) and path not in each.parents
    )
    return rng.choice(others) if others else None


def flip(path: Path, rng: random.Random) -> str:
    if path.is_dir():
        return delete(path, rng)
    content = bytearray(path.read_bytes())
    if not content:
        return append(path, rng)
    place = rng.randrange(8 * len(content))
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)
    return f"with bit {place} flipped"


def cut(path: Path, rng: random.Random) -> str:
    if path.is_dir() or not path.stat().st_size:
        return flip(path, rng)
    left = rng.randrange(path.stat().st_size)
    os.truncate(path, left)
    return f"cut to {left} bytes"


def empty(path: Path, rng: random.Random) -> str:
    if path.is_dir():
        for each in path.iterdir():
            delete(each, rng)
    else:
        path.write_bytes(b"")
    return "emptied"


def append(path: Path, rng: random.Random) -> str:
    if path.is_dir():
        return replace_by_file(path, rng)
    more = rng.choice([b"\n", b" ", b"\0", b"{}", b"}", b"garbage\n", path.read_bytes()])
    path.write_bytes(path.read_bytes() + more)
    return f"with {more[:8]!r} appended"


def swap_in(path: Path, rng: random.Random) -> str:
    """Copies another run's or stage's file or folder over it."""
    if (other := like(path, rng)) is None:
        return flip(path, rng)
    delete(path, rng)
    if other.is_dir():
        shutil.copytree(other, path)
    else:
        shutil.copy(other, path)
    return f"replaced by {other.parent.name}/{other.name}"


def exchange(path: Path, rng: random.Random) -> str:
    """Exchanges it with another run's or stage's."""
    if (other := like(path, rng)) is None:
        return cut(path, rng)
    aside = path.with_name("aside")
    path.rename(aside)
    other.rename(path)
    aside.rename(other)
    return f"exchanged with {other.parent.name}/{other.name}"


def delete(path: Path, rng: random.Random) -> str:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    return "deleted"


def replace_by_folder(path: Path, rng: random.Random) -> str:
    delete(path, rng)
    path.mkdir()
    return "replaced by a folder"


def replace_by_file(path: Path, rng: random.Random) -> str:
    delete(path, rng)
    path.write_text("text")
    return "replaced by a file"


def replace_by_pipe(path: Path, rng: random.Random) -> str:
    delete(path, rng)
    os.mkfifo(path)
    return "replaced by a pipe"


def replace_by_link(path: Path, rng: random.Random) -> str:
    delete(path, rng)
    path.symlink_to(rng.choice([path, path.with_name("nowhere")]))
    return "replaced by a link to nowhere"


def numbered(replacement: Callable[[str, random.Random], str], name: str) -> Damage:
    """Replaces one number in a text."""

    def change(path: Path, rng: random.Random) -> str:
        if path.is_dir() or path.suffix not in (".json", ".jsonl", ".toml"):
            return flip(path, rng)
        text = path.read_bytes().decode()
        places = list(re.finditer(r"(?<=[ \[])-?\d[\d.e+-]*(?=[,\n\]}])", text))
        if not places:
            return cut(path, rng)
        place = rng.choice(places)
        path.write_bytes((text[: place.start()] + replacement(place[0], rng) + text[place.end() :]).encode())
        return f"with {name} for {place[0]} at byte {place.start()}"

    return change


def digit(text: str, rng: random.Random) -> str:
    """The number with one digit changed."""
    place = rng.choice([place for place, each in enumerate(text) if each.isdigit()])
    return text[:place] + str((int(text[place]) + rng.randrange(1, 10)) % 10) + text[place + 1 :]


def written(change: Callable[[bytes, random.Random], bytes], name: str) -> Damage:
    """Writes other content."""

    def damage(path: Path, rng: random.Random) -> str:
        if path.is_dir():
            return swap_in(path, rng)
        path.write_bytes(change(path.read_bytes(), rng))
        return name

    return damage


def twice(content: bytes, rng: random.Random) -> bytes:
    """A JSON object one of whose lines stands there twice, with another value first."""
    lines = [line for line in content.split(b"\n") if re.match(rb'\s+"\w+": .*,$', line)]
    if not lines:
        return content + content
    line = rng.choice(lines)
    return content.replace(line, line.split(b":")[0] + b": 0,\n" + line, 1)


def forbid(path: Path, rng: random.Random) -> str:
    if os.geteuid() == 0:  # root may read everything
        return flip(path, rng)
    path.chmod(0)
    return "without permission"


DAMAGES: list[Damage] = [
    flip, flip, cut, empty, append, swap_in, swap_in, exchange, exchange, delete, replace_by_folder, replace_by_file,
    replace_by_pipe, replace_by_link, forbid,
    numbered(digit, "another digit"), numbered(digit, "another digit"),
    numbered(lambda text, rng: rng.choice(["NaN", "Infinity", "-Infinity", "1e999", "null", "true"]), "no number"),
    numbered(lambda text, rng: "9" * rng.choice([30, 5000]), "a huge number"),
    numbered(lambda text, rng: f'"{text}"', "a text"),
    written(lambda content, rng: b"[" * 100_000, "nested deeply"),
    written(lambda content, rng: b'{"a":' * 100_000, "nested deeply"),
    written(lambda content, rng: b"\xef\xbb\xbf" + content, "with a byte-order mark"),
    written(lambda content, rng: content.decode("latin-1").encode("utf-16"), "in UTF-16"),
    written(lambda content, rng: b"\xff" + content, "not in UTF-8"),
    written(lambda content, rng: content.replace(b'"format": 3', b'"format": 2'), "of another format"),
    written(twice, "with a key twice"),
    written(lambda content, rng: content.replace(b"\n", b"\r\n"), "with other ends of lines"),
]  # fmt: skip
