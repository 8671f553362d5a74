"""Spec files with something changed, by random numbers."""

from __future__ import annotations

import datetime
import math
import random
from collections.abc import Callable
from typing import Any

import tomli
import tomli_w

NUMBERS = [0, -1, 1, 2**31, 2**63 - 1, 2**63, -(2**63), 10**30, 0.0, -0.0, 1e308, 5e-324, math.nan, math.inf, -math.inf]
TEXTS = [
    "", " ", "x", "vq", "\0", "\n", "a\nb", "\x1b[31m", "\u202ecba", "ｓｅｅｄ", "sееd", "é" * 99, "😀", "..", "/", "~",
    "a.b", "x" * 5000, "nan", "true", "%s{}", "\ufeff",
]  # fmt: skip
KEYS = ["use", "extends", "sweep", "arms", "seed"]
DATES = [datetime.date(1, 1, 1), datetime.datetime(9999, 12, 31, tzinfo=datetime.UTC), datetime.time(0)]


def nested(depth: int, array: bool) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if array else {"a": value}
    return value


def value(rng: random.Random, levels: int = 2) -> Any:
    """A value of any type, most of them wrong wherever they stand, with at most so many levels of random ones."""
    sort = rng.randrange(8 if levels else 6)
    if sort < 2:
        return rng.choice(NUMBERS)
    if sort < 4:
        return rng.choice(TEXTS)
    if sort == 4:
        return rng.choice([True, False, *DATES])
    if sort == 5:
        return nested(rng.choice([1, 2, 40, 60]), rng.random() < 0.5)
    if sort == 6:
        return [value(rng, levels - 1) for _ in range(rng.choice([0, 1, 2, 9]))] * rng.choice([1, 1, 1, 50])
    return {rng.choice(TEXTS): value(rng, levels - 1) for _ in range(rng.choice([0, 1, 2, 9]))}


def places(values: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every key and entry."""
    entries = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    return [place for step, inside in entries for place in [(*path, step), *places(inside, (*path, step))]]


def of_values(text: str, rng: random.Random) -> bytes:
    """Values replaced, gone, nested or doubled, keys renamed; as TOML."""
    values = tomli.loads(text)
    for _ in range(rng.randint(1, 3)):
        if not (known := places(values)):
            break
        *path, last = rng.choice(known)
        inside: Any = values
        for step in path:
            inside = inside[step]
        change = rng.randrange(6)
        if change < 2:
            inside[last] = value(rng)
        elif change == 2:
            del inside[last]
        elif change == 3:
            inside[last] = rng.choice([[inside[last]], {"a": inside[last]}, {str(last): inside[last]}])
        elif change == 4 and isinstance(inside, list):
            inside.extend(inside[:] * rng.choice([1, 10]))
        elif isinstance(inside, dict):
            name = rng.choice([*TEXTS, *KEYS, str(last)[:-1], f"{last}s", f"{last}.0"])
            inside[name] = inside.pop(last) if rng.random() < 0.5 else inside[last]
    try:
        return tomli_w.dumps(values).encode()
    except (TypeError, ValueError):  # an array of what TOML cannot hold
        return b"x = 1"


WORDS = [
    "[", "]", "[[", "]]", "{", "}", "=", ".", ",", '"', "'", '"""', "'''", "#", "\n", "\r", "\r\n", "\0", "\\",
    "\\u0000",
    "\\U00110000", "\ufeff", "0x", "0xfffffffffffffffff", "1e999", "-nan", "+inf", "1_000", "07",
    "1979-05-27T07:32:00Z",
    "25:61:00", "true", "True", "[sweep]", "[sweep.arms.baseline]", "[sweep.arms.x]", "[[sweep.claim]]",
    "extends = '.'",
    "extends = 'mutated.toml'", "extends = 'gone.toml'", "extends = '../quickstart.toml'", "seed = [0, 1]",
    "seed = 1", "use = 'vq'", "'seed' = 2", "a.b.c.d = 1", "a" + ".a" * 60 + " = 1", "[" * 2000, "9" * 5000, "x" * 9000,
    "\n[a]\n", "\n[[a]]\n", "\n[[metric]]\nuse = 'code-length'\n", "\n'prior.order' = [1, 2]\n", "\n[sampling]\n",
]  # fmt: skip


def of_tokens(text: str, rng: random.Random) -> bytes:
    """Words of the text gone, doubled, swapped or replaced by others."""
    words = [word for part in text.split("\n") for word in (*part.split(" "), "\n")]
    for _ in range(rng.randint(1, 4)):
        at, other, change = rng.randrange(len(words)), rng.randrange(len(words)), rng.randrange(5)
        if change == 0 and len(words) > 1:
            del words[at]
        elif change == 1:
            words[at] = words[other]
        elif change == 2:
            words.insert(at, words[other])
        elif change == 3:
            words[at] = rng.choice(WORDS)
        else:
            words.insert(at, rng.choice(WORDS))
    return " ".join(words).encode()


def of_bytes(text: str, rng: random.Random) -> bytes:
    """Bytes changed, gone or put in, a piece doubled or moved, the end cut off."""
    raw = bytearray(text.encode())
    for _ in range(rng.randint(1, 4)):
        at, change = rng.randrange(len(raw) + 1), rng.randrange(6)
        if change == 0:
            raw[at : at + 1] = bytes([rng.randrange(256)])
        elif change == 1:
            del raw[at : at + rng.choice([1, 1, 10])]
        elif change == 2:
            raw[at:at] = rng.choice(WORDS).encode()
        elif change == 3:
            raw[at:at] = raw[: rng.randrange(200)]
        elif change == 4:
            raw[at : at + 1] = bytes([raw[at : at + 1][0] ^ 1 << rng.randrange(8)]) if at < len(raw) else b""
        elif rng.random() < 0.2:
            del raw[at:]
    return bytes(raw)


MUTATIONS: list[Callable[[str, random.Random], bytes]] = [of_values, of_tokens, of_bytes]
