"""Atomic files: written to a temporary name, synced, and renamed into place."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crtcore.errors import RunError

_ASIDE = ".tmp-"


def aside_of(path: Path) -> Path:
    """The temporary path that this process renames to `path`."""
    return path.with_name(f"{_ASIDE}{path.name}-{os.getpid()}")


def read(path: Path) -> bytes:
    """The content of a file of a run.

    Raises: RunError if it is missing, not a regular file, or cannot be read.
    """
    with reading(path):
        if not path.exists():
            raise RunError(f"{path}: expected a file of a run, got none; {again(path.parent)}")
        if not path.is_file():  # opening a pipe would wait for ever
            what = "a folder" if path.is_dir() else "something that is not a regular file"
            raise RunError(f"{path}: expected a file of a run, got {what}; {again(path.parent)}")
        return path.read_bytes()


def again(folder: Path) -> str:
    """What to do about a damaged file in the folder of a run or sweep."""
    return f"move the folder {folder} away and give the same command again, stages that are trained are kept"


def write(path: Path, content: bytes) -> None:
    """Writes a file atomically.

    Raises: RunError if writing fails.
    """
    aside = aside_of(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(aside, content)
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def dumped(values: Any) -> bytes:
    """`values` as readable JSON."""
    return (json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns an OSError into advice.

    Raises: RunError.
    """
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot read {path}: {error.strerror or error}; make it readable for this user, or move it away, "
            "and give the same command again"
        ) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an OSError into advice.

    Raises: RunError.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "no space left; free some and give the same command again, what is finished is kept"
        else:
            advice = f"{error.strerror or error}; fix that and give the same command again, what is finished is kept"
        raise RunError(f"cannot write {path}: {advice}") from error


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
