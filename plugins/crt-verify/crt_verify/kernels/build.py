"""Compiles device code at first use, and caches the libraries by a hash of sources, command and compiler."""

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
"""Lines of a compiler's output that an error repeats."""


class NotBuilt(RuntimeError):
    """Device code could not be compiled."""


def sources() -> tuple[Path, ...]:
    """Every file of device code."""
    return tuple(sorted(path for path in FOLDER.iterdir() if path.suffix in (".cuh", ".cu", ".cpp")))


@cache
def source_hash() -> str:
    """A hash of all device code, file names included."""
    digest = hashlib.sha256()
    for path in sources():
        digest.update(f"{path.name}\0{path.read_text()}\0".encode())
    return digest.hexdigest()[:16]


@cache
def version(compiler: str) -> str:
    """What a compiler prints as its version.

    Raises: NotBuilt if it is not installed.
    """
    return _output([compiler, "--version"])


def compiled(compiler: str, source: str, flags: Sequence[str], *, targets: Sequence[str], part: str) -> Path:
    """The library of a part of a source for some targets, compiled now or before.

    Raises: NotBuilt with the compiler's last lines.
    """
    key = hashlib.sha256("\0".join((source_hash(), version(compiler), *flags)).encode()).hexdigest()[:16]
    path = _cache() / f"{Path(source).stem}-{key}.so"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            temporary = Path(folder) / path.name
            _output([compiler, *flags, str(FOLDER / source), "-o", str(temporary)])
            temporary.replace(path)  # atomic, so that others may compile the same
        note(path.stem, {"part": part, "compiled": list(targets), "compiler": version(compiler).splitlines()[0]})
    return path


def note(name: str, facts: Mapping[str, Any]) -> None:
    """Writes facts about the current device code."""
    _cache().mkdir(parents=True, exist_ok=True)
    (_cache() / f"{name}.json").write_text(json.dumps({"source": source_hash(), **facts}))


def noted() -> Iterator[Mapping[str, Any]]:
    """The facts that were written about the current device code.

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


def _output(command: Sequence[str]) -> str:
    """The output of a compiler.

    Raises: NotBuilt if it is not installed, or fails.
    """
    if shutil.which(command[0]) is None:
        raise NotBuilt(f"expected the compiler {command[0]!r} in PATH, got none: device code is compiled at first use")
    ended = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603, our own command
    if ended.returncode:
        lines = (ended.stdout + ended.stderr).splitlines()[-LAST:]
        raise NotBuilt("\n".join([f"expected {' '.join(command)} to compile, got status {ended.returncode}:", *lines]))
    return ended.stdout
