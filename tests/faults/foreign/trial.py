"""One damaged copy of one target, and how its reading ended."""

from __future__ import annotations

import random as randoms
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crtcore.errors import RunError, SpecError

from .damages import damage, fresh
from .datasets import DATASETS
from .targets import FILES, Reading, Target

TARGETS = (*FILES, *DATASETS)

LONGEST = 2000
"""Letters of an error, beside the folder's name."""


def template(target: Target, root: Path) -> tuple[Path, Reading]:
    """Undamaged files of a target, written once below `root`, and their reading."""
    folder = root / "templates" / target.name
    if not folder.exists():
        folder.mkdir(parents=True)
        target.lay(folder)
    return folder, target.read(folder)


def trial(random: randoms.Random, root: Path, among: Sequence[Target] = TARGETS) -> tuple[str, str]:
    """Damages one target and reads it: the outcome, and what was done and what came of it."""
    target = random.choice(among)
    undamaged, right = template(target, root)
    folder = root / "tried" / target.name
    fresh(undamaged, folder)
    done = damage(random, folder)
    try:
        reading = target.read(folder)
    except (RunError, SpecError) as error:
        return _judged(str(error), folder, f"{target.name}: {done}")
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return "traceback", f"{target.name}: {done}: {type(error).__name__}: {str(error)[:300]}"
    if reading == right or _as_held(target, done, folder, reading, right):
        return "unharmed", ""
    return "silent", f"{target.name}: {done}"


def _judged(message: str, folder: Path, what: str) -> tuple[str, str]:
    """An error has to name the place, and be no page."""
    if str(folder) not in message and "base.toml" not in message:
        return "nameless", f"{what}: {message[:300]}"
    if len(message.replace(str(folder), "")) > LONGEST and not what.startswith("spec"):
        return "endless", f"{what}: {message[:300]}"
    return "refused", ""


def _as_held(target: Target, done: str, folder: Path, reading: Reading, right: Reading) -> bool:
    """Whether a file that was damaged so that it holds other values was read as it is."""
    if done.startswith("!") and not (target.listed and done.endswith((" nothing", " folder"))):
        return False
    if done.startswith("~") or "-old" in target.name:  # checksums that fit, or none: only the form can be compared
        return all(
            reading[name][0] == right[name][0] and np.isfinite(np.frombuffer(reading[name][1], np.float64)).all()
            for name in right
        )
    try:
        return target.again is not None and target.again(folder) == reading
    except Exception:  # the other reader refuses it, so what was read counts as silently wrong
        return False
