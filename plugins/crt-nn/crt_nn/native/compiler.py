"""Compiles C++ at first use, and keeps libraries in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

LAST = 20
"""Lines of a compiler's output that an error repeats."""


class NotBuilt(RuntimeError):
    """Code could not be compiled."""


@cache
def version(compiler: str) -> str:
    """What a compiler prints as its version.

    Raises: NotBuilt if it is not installed.
    """
    return _output([compiler, "--version"])


def compiled(compiler: str, source: Path, flags: Sequence[str], *, library: Path) -> bool:
    """Compiles a source to a library, unless that is there, and returns whether it did.

    Raises: NotBuilt with the compiler's last lines, or if the library cannot be written.
    """
    if library.exists():
        return False
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            temporary = Path(folder) / library.name
            _output([compiler, *flags, str(source), "-o", str(temporary)])
            temporary.replace(library)  # atomic, so that others may compile the same
    except OSError as error:
        raise NotBuilt(f"expected to write {library}, got {error.strerror or error}") from error
    return True


def digest(paths: Sequence[Path], *facts: str) -> str:
    """A hash of files, their names included, and of facts."""
    parts = [f"{path.name}\0{path.read_text()}" for path in sorted(paths)]
    return hashlib.sha256("\0".join((*parts, *facts)).encode()).hexdigest()[:16]


def cache_folder(package: str) -> Path:
    """A package's folder in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / package


@cache
def processor() -> str:
    """What the compiler's `native` depends on: a cache folder may be shared by several machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    facts: Sequence[str] = [line for line in lines if line.startswith(("flags", "model name", "Features", "CPU part"))]
    return "\n".join(dict.fromkeys(facts))


def _output(command: Sequence[str]) -> str:
    """The output of a compiler.

    Raises: NotBuilt if it is not installed, or fails.
    """
    if shutil.which(command[0]) is None:
        raise NotBuilt(f"expected the compiler {command[0]!r} in PATH, got none: code is compiled at first use")
    ended = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603, our own command
    if ended.returncode:
        lines = (ended.stdout + ended.stderr).splitlines()[-LAST:]
        raise NotBuilt("\n".join([f"expected {' '.join(command)} to compile, got status {ended.returncode}:", *lines]))
    return ended.stdout
