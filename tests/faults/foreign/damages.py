"""What happens to files on their way: to their bytes, and to what is inside a format. All of it by random numbers."""

from __future__ import annotations

import shutil
from pathlib import Path

from .bytes import BYTES, Random
from .inside import INSIDE, entries


def damage(random: Random, folder: Path) -> str:
    """Damages files in `folder` in one way that fits one of them."""
    suffixes = sorted({path.suffix for path in folder.rglob("*") if path.is_file()} & set(INSIDE))
    inside = [each for suffix in suffixes for each in INSIDE[suffix]]
    if "old" in folder.name:  # no zip
        inside.remove(entries)
    done = random.choice(random.choice([BYTES, inside or BYTES]))
    return done(random, folder)


def fresh(template: Path, folder: Path) -> None:
    """Makes `folder` a copy of undamaged files."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
