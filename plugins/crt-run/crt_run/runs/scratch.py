"""The folder of a rehearsal: deleted at its end, or by the next rehearsal if it was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "crt-rehearsal-"


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder; those that killed processes of this user have left are deleted first.

    Its maker holds a lock on it, which ends with the process, however that ends.
    """
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another process may delete it, too
            _clear(path)
    folder, lock = _made()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _clear(path: Path) -> None:
    """Deletes a folder of this user that no process holds."""
    if path.lstat().st_uid != os.getuid():
        return
    opened = _opened(path)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path)
    finally:
        os.close(opened)


def _made() -> tuple[Path, int]:
    """A new folder, and the descriptor that holds its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        with contextlib.suppress(OSError):  # another process has deleted it, as it had no lock yet
            lock = _opened(folder)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _opened(path: Path) -> int:
    """A descriptor of a folder; of a link, none."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
