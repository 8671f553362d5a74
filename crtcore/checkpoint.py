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
from torch import Tensor

MARK = "COMMITTED"
_MANIFEST = "manifest.json"
_TENSORS = "tensors.safetensors"
_STATE = "state.json"


class RunError(Exception):
    """A run cannot go on; the message says what, where, and what to do."""


class CheckpointError(RunError):
    """A checkpoint is not what was written."""


class Saved(NamedTuple):
    """What a checkpoint holds."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]


def save(folder: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Writes a checkpoint aside, brings it to the disk, and renames it into place.

    Raises: RunError if the disk refuses; nothing that was there is touched.
    """
    aside = folder.with_name(f".tmp-{folder.name}-{os.getpid()}")
    with writing(folder):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            raw = safetensors.torch.save({name: tensor.detach().contiguous() for name, tensor in tensors.items()})
            files = {_TENSORS: raw, _STATE: dumped(state)}
            manifest = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
            files[_MANIFEST] = dumped(manifest)
            for name, content in (*files.items(), (MARK, hashlib.sha256(files[_MANIFEST]).hexdigest().encode())):
                _write(aside / name, content)
            _sync(aside)
            aside.rename(folder)
            _sync(folder.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def load(folder: Path) -> Saved:
    """What the checkpoint in `folder` holds.

    Raises: CheckpointError if a file is missing or differs from what was written.
    """
    manifest = _verified(folder, _MANIFEST, _read(folder, MARK).decode(errors="replace"))
    hashes = json.loads(manifest)
    tensors = _verified(folder, _TENSORS, hashes[_TENSORS])
    return Saved(safetensors.torch.load(tensors), json.loads(_verified(folder, _STATE, hashes[_STATE])))


def committed(folder: Path) -> bool:
    """True if a checkpoint was brought to its end there."""
    return (folder / MARK).is_file()


def remove(folder: Path) -> None:
    """Deletes a checkpoint, its mark first, so that a crash on the way leaves nothing that looks whole."""
    (folder / MARK).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def write_json(path: Path, values: Any) -> None:
    """Writes a JSON file aside and renames it into place.

    Raises: RunError if the disk refuses.
    """
    write_text(path, dumped(values).decode())


def write_text(path: Path, text: str) -> None:
    """Writes a text file aside and renames it into place.

    Raises: RunError if the disk refuses.
    """
    aside = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(aside, text.encode())
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
            advice = f"{error.strerror or error}; nothing that was there is lost"
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


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"{folder / name}: cannot be read ({error.strerror}); "
            f"delete the folder {folder} and give the same command again"
        ) from None


def _verified(folder: Path, name: str, expected: str) -> bytes:
    content = _read(folder, name)
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise CheckpointError(
            f"{folder / name}: expected SHA-256 {expected[:12]}…, got {found[:12]}… ({len(content)} bytes): the file "
            f"was damaged; delete the folder {folder} and give the same command again, everything else is kept"
        )
    return content
