"""Checkpoints: safetensors and JSON under a manifest of hashes, committed by a rename, loaded if the hashes hold."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor

from crtcore.errors import CheckpointError, RunError
from crtcore.registry import in_one_line

MARK = "COMMITTED"
_MANIFEST = "manifest.json"
_TENSORS = "tensors.safetensors"
_STATE = "state.json"
_ASIDE = ".tmp-"


class Saved(NamedTuple):
    """What a checkpoint holds."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]


def save(folder: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Writes a checkpoint aside, brings it to the disk, and renames it into place.

    Raises: RunError if the disk refuses; nothing that was there is touched.
    """
    aside = aside_of(folder)
    with writing(folder):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            files = {_TENSORS: safetensors.torch.save(_apart(tensors)), _STATE: dumped(state)}
            manifest = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
            files[_MANIFEST] = dumped(manifest)
            for name, content in (*files.items(), (MARK, hashlib.sha256(files[_MANIFEST]).hexdigest().encode())):
                _write(aside / name, content)
            _sync(aside)
            if not committed(folder):
                remove(folder)  # what is left of one whose removal a kill cut short, or that lost its mark
            aside.rename(folder)
            _sync(folder.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def load(folder: Path) -> Saved:
    """What the checkpoint in `folder` holds.

    Raises: CheckpointError if a file is missing or differs from what was written.
    """
    hashes = _table(folder, _MANIFEST, _read(folder, MARK).decode(errors="replace"))
    raw = _verified(folder, _TENSORS, str(hashes.get(_TENSORS)))
    state = _table(folder, _STATE, str(hashes.get(_STATE)))
    try:
        return Saved(safetensors.torch.load(raw), state)
    except (safetensors.SafetensorError, LookupError, ValueError) as error:  # a dtype torch lacks is a KeyError
        raise _unfit(folder, _TENSORS, f"expected tensors, got {error}") from None


def mapped(folder: Path) -> Saved:
    """As `load`, but the tensors stay in their file, which has to stay as it is: they are read where they are used.

    Raises: CheckpointError if a file is missing or differs from what was written.
    """
    hashes = _table(folder, _MANIFEST, _read(folder, MARK).decode(errors="replace"))
    try:
        with (folder / _TENSORS).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unfit(folder, _TENSORS, f"cannot be read ({error.strerror})") from None
    if found != hashes.get(_TENSORS):
        raise _damaged(folder, _TENSORS, str(hashes.get(_TENSORS)), found)
    state = _table(folder, _STATE, str(hashes.get(_STATE)))
    try:
        with safetensors.safe_open(folder / _TENSORS, "pt") as tensors:
            names = list(tensors.keys())
            return Saved({name: tensors.get_tensor(name) for name in names}, state)
    except (safetensors.SafetensorError, LookupError, ValueError, RuntimeError) as error:
        raise _unfit(folder, _TENSORS, f"expected tensors, got {in_one_line(error)}") from None


def committed(folder: Path) -> bool:
    """True if a checkpoint was brought to its end there."""
    return (folder / MARK).is_file()


def remove(folder: Path) -> None:
    """Deletes a checkpoint, its mark first, so that a crash on the way leaves nothing that looks whole."""
    with writing(folder):
        (folder / MARK).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def tidy(folder: Path) -> None:
    """Deletes what writers that were killed left aside; nobody may be writing there."""
    for left in folder.glob(f"{_ASIDE}*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def aside_of(path: Path) -> Path:
    """Where a process writes what it will rename to `path`."""
    return path.with_name(f"{_ASIDE}{path.name}-{os.getpid()}")


def write_json(path: Path, values: Any) -> None:
    """Writes a JSON file aside and renames it into place.

    Raises: RunError if the disk refuses.
    """
    write(path, dumped(values))


def write(path: Path, content: bytes) -> None:
    """Writes a file aside and renames it into place.

    Raises: RunError if the disk refuses.
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
def writing(path: Path) -> Iterator[None]:
    """Turns what the disk refuses into a RunError that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            advice = "no space left; free some and give the same command again, what is finished is kept"
        else:
            advice = (
                f"{error.strerror or error}; put that right and give the same command again, what is finished is kept"
            )
        raise RunError(f"cannot write {path}: {advice}") from error


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies that share no memory, which is what safetensors takes: tied weights do."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }


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


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise _unfit(folder, name, f"cannot be read ({error.strerror})") from None


def _verified(folder: Path, name: str, expected: str) -> bytes:
    content = _read(folder, name)
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        shown = f"{found[:12]!r}… ({len(content)} bytes)"
        raise _unfit(folder, name, f"the file was damaged, expected SHA-256 {expected[:12]!r}…, got {shown}")
    return content


def _table(folder: Path, name: str, expected: str) -> dict[str, Any]:
    content = _verified(folder, name, expected)
    try:
        table = json.loads(content)
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise _unfit(folder, name, "expected a JSON object, got something else")
    return table


def _damaged(folder: Path, name: str, expected: str, found: str) -> CheckpointError:
    shown = f"{found[:12]!r}… ({(folder / name).stat().st_size} bytes)"
    return _unfit(folder, name, f"the file was damaged, expected SHA-256 {expected[:12]!r}…, got {shown}")


def _unfit(folder: Path, name: str, what: str) -> CheckpointError:
    advice = f"delete the folder {folder} and give the same command again, everything else is kept"
    return CheckpointError(f"{folder / name}: {what}; {advice}")
