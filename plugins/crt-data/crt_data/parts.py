"""Which archives of a folder are for training and which are held out, by the words of their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from crt_data.index import Builder

WORDS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Words that name a part, alone between what are no letters, in the path below the folder."""


class Archive(NamedTuple):
    """An archive in a folder."""

    path: Path
    name: str
    """Its path below the folder."""
    part: str
    """`train`, `val` or none."""


def archives(builder: Builder, suffix: str) -> Sequence[Archive]:
    """The archives below a folder that have a suffix, sorted by name, with their parts.

    The part that is held out is the one named `val`, or else `test`; of three, `test` is left out.
    Raises: RunError if there are none, or some name a part and others none, or one part is missing.
    """
    top = builder.top
    if not top.is_dir():
        raise builder.unfit(f"a folder with files *{suffix}", "none; name one")
    names = sorted(
        path.relative_to(top).as_posix() for path in top.rglob(f"*{suffix}")
        if not any(part.startswith(".") for part in path.relative_to(top).parts)
    )  # fmt: skip
    if not names:
        raise builder.unfit(f"files *{suffix}", "none")
    parts = {name: _part(builder, name) for name in names}
    if not any(parts.values()):
        return [Archive(top / name, name, "") for name in names]
    held_out = "val" if "val" in parts.values() else "test"
    for name, part in parts.items():
        if not part:
            raise builder.unfit("names with the words train and val, or none with either", f"{name!r} with neither")
    missing = [part for part in ("train", held_out) if part not in parts.values()]
    if missing:
        got = f"none with {missing[0]} among {len(names)}"
        raise builder.unfit("names with the words train and val, or none with either", got)
    for name, part in parts.items():
        if part not in ("train", held_out):
            builder.skip("beside train and val", name)
    return [
        Archive(top / name, name, "train" if part == "train" else "val")
        for name, part in parts.items() if part in ("train", held_out)
    ]  # fmt: skip


def _part(builder: Builder, name: str) -> str:
    parts = {WORDS[word] for word in re.split("[^a-z]+", name.lower()) if word in WORDS}
    if len(parts) > 1:
        raise builder.unfit("a name with one of the words train, val and test", repr(name))
    return parts.pop() if parts else ""
