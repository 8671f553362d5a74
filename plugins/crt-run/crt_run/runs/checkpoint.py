"""Checkpoints: safetensors and JSON under a manifest of hashes, committed by a rename and verified when loaded."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import safetensors

from crt_run.runs.files import _ASIDE, _sync, _write, aside_of, dumped, writing
from crtcore.errors import CheckpointError, in_one_line

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

MARK = "COMMITTED"
_MANIFEST = "manifest.json"
_TENSORS = "tensors.safetensors"
_STATE = "state.json"
_ORIGIN = "origin"
CONFIG = "config.json"
"""What the weights are, for a reader."""


class Saved(NamedTuple):
    """The contents of a checkpoint."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]


def save(
    folder: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any], origin: Mapping[str, Any] | None = None,
    *, config: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Writes a checkpoint to a temporary folder, syncs it, and renames it into place.

    `origin` is what its manifest holds about where it comes from, `config` what its file `config.json` says it is.
    Raises: RunError if writing fails; a committed checkpoint in its place stays untouched.
    """
    import safetensors.torch  # a report is drawn without torch

    aside = aside_of(folder)
    with writing(folder):
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            files = {_TENSORS: safetensors.torch.save(apart(tensors)), _STATE: dumped(state)}
            files |= {} if config is None else {CONFIG: dumped(config)}
            manifest = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
            files[_MANIFEST] = dumped(manifest if origin is None else {**manifest, _ORIGIN: origin})
            for name, content in (*files.items(), (MARK, hashlib.sha256(files[_MANIFEST]).hexdigest().encode())):
                _write(aside / name, content)
            _sync(aside)
            if not committed(folder):
                remove(folder)  # the remains of an interrupted removal, or a checkpoint that lost its mark
            aside.rename(folder)
            _sync(folder.parent)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def load(folder: Path) -> Saved:
    """Loads the checkpoint in `folder`.

    Raises: CheckpointError if a file is missing or its hash differs.
    """
    import safetensors.torch

    hashes = _hashes(folder)
    raw = _verified(folder, _TENSORS, str(hashes.get(_TENSORS)))
    state = _table(folder, _STATE, str(hashes.get(_STATE)))
    with _reading(folder):
        return Saved(safetensors.torch.load(raw), state)


def arrays(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors of the checkpoint in `folder`, whose types numpy has, without torch.

    Raises: CheckpointError if a file is missing or its hash differs.
    """
    import safetensors.numpy

    raw = _verified(folder, _TENSORS, str(_hashes(folder).get(_TENSORS)))
    with _reading(folder):
        return safetensors.numpy.load(raw)


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    try:
        yield
    except (safetensors.SafetensorError, LookupError, ValueError) as error:  # a dtype that is missing is a KeyError
        raise unfit(folder, _TENSORS, f"expected tensors, got {error}") from None


def origin(folder: Path) -> Any:
    """What `save` was given as `origin`; None if nothing was.

    Raises: CheckpointError if a file that is read is missing or its hash differs.
    """
    return _hashes(folder).get(_ORIGIN)


def mapped(folder: Path) -> Saved:
    """As `load`, but the tensors are mapped into memory: the file must not change while they are in use.

    Raises: CheckpointError if a file is missing or its hash differs.
    """
    hashes = _hashes(folder)
    try:
        _regular(folder / _TENSORS)
        with (folder / _TENSORS).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(folder, _TENSORS, error) from None
    _check(folder, _TENSORS, str(hashes.get(_TENSORS)), digest)
    state = _table(folder, _STATE, str(hashes.get(_STATE)))
    try:
        with safetensors.safe_open(folder / _TENSORS, "pt") as tensors:
            names = list(tensors.keys())
            return Saved({name: tensors.get_tensor(name) for name in names}, state)
    except (safetensors.SafetensorError, LookupError, ValueError, RuntimeError) as error:
        raise unfit(folder, _TENSORS, f"expected tensors, got {in_one_line(error)}") from None


def committed(folder: Path) -> bool:
    """True if `folder` holds a complete checkpoint."""
    return (folder / MARK).is_file()


def remove(folder: Path) -> None:
    """Deletes a checkpoint, its mark first, so that a crash in between leaves nothing that looks complete."""
    with writing(folder):
        if folder.is_file():
            folder.unlink()
            return
        (folder / MARK).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def clear(folder: Path) -> None:
    """Deletes everything in a stage's folder, marks of checkpoints first."""
    for path in folder.iterdir():
        if path.is_dir():
            remove(path)
        else:
            path.unlink(missing_ok=True)


def tidy(folder: Path) -> None:
    """Deletes temporary files of killed writers; no other process may be writing to `folder`."""
    for left in folder.glob(f"{_ASIDE}*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies that share no memory, as safetensors requires; tied weights share it."""
    import torch

    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }


def _read(folder: Path, name: str) -> bytes:
    try:
        _regular(folder / name)
        return (folder / name).read_bytes()
    except OSError as error:
        raise _unreadable(folder, name, error) from None


def _regular(path: Path) -> None:
    """Raises: OSError for what is there and no file; opening a pipe would wait for ever."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file")


def _verified(folder: Path, name: str, expected: str) -> bytes:
    content = _read(folder, name)
    _check(folder, name, expected, hashlib.sha256(content).hexdigest())
    return content


def _table(folder: Path, name: str, expected: str) -> dict[str, Any]:
    content = _verified(folder, name, expected)
    try:
        table = json.loads(content)
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise unfit(folder, name, "expected a JSON object, got something else")
    return table


def _hashes(folder: Path) -> dict[str, Any]:
    """The manifest; a configuration that it names is verified too, as people read it."""
    hashes = _table(folder, _MANIFEST, _read(folder, MARK).decode(errors="replace"))
    if CONFIG in hashes:
        _verified(folder, CONFIG, str(hashes[CONFIG]))
    return hashes


def _check(folder: Path, name: str, expected: str, digest: str) -> None:
    if digest != expected:
        shown = f"{digest!r} ({(folder / name).stat().st_size} bytes)"
        raise unfit(folder, name, f"the file was damaged, expected SHA-256 {expected[:80]!r}, got {shown}")


def _unreadable(folder: Path, name: str, error: OSError) -> CheckpointError:
    return unfit(folder, name, f"cannot be read ({error.strerror})")


def unfit(folder: Path, name: str, what: str) -> CheckpointError:
    """The error about a file of a checkpoint, or about the folder, with what to do."""
    advice = f"delete the folder {folder} and give the same command again, everything else is kept"
    return CheckpointError(f"{folder / name}: {what}; {advice}")
