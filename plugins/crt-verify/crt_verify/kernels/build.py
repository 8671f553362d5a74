"""Compiles device code at first use, and keeps what came of it by a hash of sources, command and compiler."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
LAST = 20
"""Lines of a compiler's words that an error repeats."""


class NotBuilt(RuntimeError):
    """Device code that is needed could not be compiled."""


def sources() -> tuple[Path, ...]:
    """Every file of device code."""
    return tuple(sorted(path for path in FOLDER.iterdir() if path.suffix in (".cuh", ".cu", ".cpp")))


@cache
def source_hash() -> str:
    """A hash of all device code, its names included."""
    told = hashlib.sha256()
    for path in sources():
        told.update(f"{path.name}\0{path.read_text()}\0".encode())
    return told.hexdigest()[:16]


@cache
def version(compiler: str) -> str:
    """What a compiler says of itself.

    Raises: NotBuilt if it is not there.
    """
    return _said([compiler, "--version"])


def compiled(compiler: str, source: str, flags: Sequence[str], *, targets: Sequence[str], part: str) -> Path:
    """The library that a compiler makes of a part of a source for some targets, made now or before.

    Raises: NotBuilt with the compiler's last lines.
    """
    key = hashlib.sha256("\0".join((source_hash(), version(compiler), *flags)).encode()).hexdigest()[:16]
    made = _cache() / f"{Path(source).stem}-{key}.so"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=made.parent) as folder:
            own = Path(folder) / made.name
            _said([compiler, *flags, str(FOLDER / source), "-o", str(own)])
            own.replace(made)  # at once, whoever else compiles the same
        note(made.stem, {"part": part, "compiled": list(targets), "compiler": version(compiler).splitlines()[0]})
    return made


def note(name: str, facts: Mapping[str, Any]) -> None:
    """Keeps facts about the device code as it is."""
    _cache().mkdir(parents=True, exist_ok=True)
    (_cache() / f"{name}.json").write_text(json.dumps({"source": source_hash(), **facts}))


def noted() -> Iterator[Mapping[str, Any]]:
    """The facts that were kept about the device code as it is.

    Raises: NotBuilt if a note cannot be read.
    """
    for path in sorted(_cache().glob("*.json")):
        try:
            facts = json.loads(path.read_text())
            current = facts["source"] == source_hash()
        except (ValueError, TypeError, KeyError) as error:
            raise NotBuilt(f"expected a note about device code in {path}; delete it") from error
        if current:
            yield facts


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crt-verify"


def _said(words: Sequence[str]) -> str:
    """What a compiler prints.

    Raises: NotBuilt if it is not there, or fails.
    """
    if shutil.which(words[0]) is None:
        raise NotBuilt(f"expected the compiler {words[0]!r} in PATH, found none: device code is compiled at first use")
    ended = subprocess.run(words, check=False, capture_output=True, text=True)  # noqa: S603, our own words
    if ended.returncode:
        lines = (ended.stdout + ended.stderr).splitlines()[-LAST:]
        raise NotBuilt("\n".join([f"expected {' '.join(words)} to compile, got status {ended.returncode}:", *lines]))
    return ended.stdout
