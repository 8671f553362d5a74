"""Tensors in files that other programs wrote: read without running code, and compared before any of them is used.

Whatever is wrong with such a file is one RunError with the file, what was expected and what to do.
"""

from __future__ import annotations

import argparse
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from crt_nn.foreign import instead
from crtcore.errors import RunError, in_one_line

_FLOATS = {torch.float64: "F64", torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
"""Weights are numbers of these types, with their names in safetensors; others need scales or tables."""
_SAFE = ".safetensors"
_SUFFIXES = (_SAFE, ".pt", ".pth")
_OTHER = f"fetch the file again, or save the weights alone as {_SAFE}"


class Form(NamedTuple):
    """What the header of a safetensors file says about a tensor."""

    shape: list[int]
    dtype: str


def read(path: Path, area: str, wrappers: Sequence[str] = ()) -> dict[str, Tensor]:
    """The tensors in `path` (`.pt`, `.pth` or `.safetensors`) by name, under the first key of `wrappers` that is there.

    No code of the file runs. Numbers that changed on the way are noticed in a `.pt` of torch 1.6 and later alone, as
    other files have no checksums.
    Raises: RunError, which begins with `area`, if the file is none of these, or has anything but tensors.
    """
    _check_suffix(path, area, _SUFFIXES)
    with _reading(path, area):
        content: Any = safetensors.torch.load_file(path) if path.suffix == _SAFE else _unpickled(path)
    if isinstance(content, dict):
        content = next((content[wrapper] for wrapper in wrappers if wrapper in content), content)
    if not isinstance(content, dict):
        _refuse(path, area, "tensors by name", f"{type(content).__name__}; save a state dict")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            got = f"{type(value).__name__} under {name!r:.60}"
            _refuse(path, area, "tensors by name", f"{got}; save a state dict, alone or under {', '.join(wrappers)}")
    return content


def fitting(
    path: Path, area: str, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], hint: str
) -> dict[str, Tensor]:
    """The tensors of `path` with the types of those `expected`, once all of them have their names and shapes.

    Raises: RunError for the first that is missing, unknown, of another shape, of no floating-point type, or not finite.
    """
    for name in sorted(expected.keys() | tensors.keys()):
        here = list(expected[name].shape) if name in expected else "absent"
        there = list(tensors[name].shape) if name in tensors else "absent"
        if here != there:
            _refuse(path, area, f"{name!r:.120} to be {here}", f"{there}; {hint}")
    return {name: finite(path, area, name, tensors[name], expected[name].dtype) for name in expected}


def finite(path: Path, area: str, name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor of `path` in `dtype`.

    Raises: RunError if it is not made of floating-point numbers, or some are not finite in `dtype`.
    """
    if tensor.dtype not in _FLOATS or tensor.layout != torch.strided or tensor.device.type != "cpu":
        plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
        got = str(tensor.dtype) if plain else f"a tensor of layout {tensor.layout} on {tensor.device}"
        check_type(path, area, name, got.replace("torch.", ""))
    result = tensor.detach().to(dtype)
    if not torch.isfinite(result).all():
        expected = f"{name!r:.120} to be finite in {dtype}".replace("torch.", "")
        _refuse(path, area, expected, f"NaN or infinity; {_OTHER}")
    return result


def check_type(path: Path, area: str, name: str, dtype: str) -> None:
    """Compares the type of a tensor, as safetensors names it, with those of weights.

    Raises: RunError if it is none of them.
    """
    if dtype not in _FLOATS.values():
        expected = f"{name!r:.120} to be floating-point numbers of 16 to 64 bits"
        _refuse(path, area, expected, f"{dtype}; take weights that are not quantised")


def shared_type(names: Collection[str]) -> torch.dtype:
    """The type of weights, as safetensors names theirs; float32 if they have several, or float64."""
    own = {torch.float32 if dtype == torch.float64 else dtype for dtype, name in _FLOATS.items() if name in names}
    return own.pop() if len(own) == 1 else torch.float32


def headers(path: Path, area: str) -> dict[str, Form]:
    """Shapes and types of the tensors in a safetensors file, without their numbers.

    Raises: RunError, which begins with `area`, if it is no such file.
    """
    with _reading(path, area), safetensors.safe_open(path, framework="pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        return {name: Form(list(each.get_shape()), each.get_dtype()) for name, each in slices.items()}


def numbers(path: Path, area: str) -> Iterator[tuple[str, Tensor]]:
    """The tensors in a safetensors file, one after another.

    Raises: RunError, which begins with `area`, if it is no such file.
    """
    with _reading(path, area):
        file: Any = safetensors.safe_open(path, framework="pt")
    with file:
        for name in file.keys():  # noqa: SIM118 - not a mapping
            with _one_error(path, area):
                tensor = file.get_tensor(name)
            yield name, tensor


def write(path: Path, area: str, tensors: Mapping[str, Tensor], wrapper: str) -> None:
    """Writes tensors to `.safetensors`, or to `.pt` under the key `wrapper`.

    Raises: RunError if the file has another suffix, or cannot be written.
    """
    _check_suffix(path, area, _SUFFIXES[:2])
    apart = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        if path.suffix == _SAFE:
            safetensors.torch.save_file(apart, path)
        else:
            torch.save({wrapper: apart}, path)
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise RunError(f"{area}: cannot write {path} ({in_one_line(error):.120}); name another place") from error


def _unpickled(path: Path) -> Any:
    """The content of a `.pt`; torch writes checksums, and does not look at them when it reads."""
    with path.open("rb") as raw:
        zipped = raw.read(4) == b"PK\3\4"  # others are of torch before 1.6, without checksums
    if zipped:
        with zipfile.ZipFile(path) as file:
            entries = file.infolist()
            if not any(each.filename.endswith("/data.pkl") for each in entries):
                raise zipfile.BadZipFile("an archive without data.pkl")
            # torch.serialization.set_crc32_options(False) leaves all of them 0
            if any(each.CRC for each in entries) and (odd := file.testzip()):
                raise zipfile.BadZipFile(f"the checksum of {odd} differs")
    with torch.serialization.safe_globals([argparse.Namespace]):  # public training code keeps its arguments
        return torch.load(path, map_location="cpu", weights_only=True)


@contextmanager
def _reading(path: Path, area: str) -> Iterator[None]:
    if got := instead(path):
        _refuse(path, area, "a file of tensors", got)
    with _one_error(path, area):
        yield


@contextmanager
def _one_error(path: Path, area: str) -> Iterator[None]:
    """Makes one error of all that a library raises about a file: none of them lists what that is."""
    try:
        yield
    except Exception as error:
        message = " ".join(str(error).partition("WeightsUnpickler error:")[2].split() or str(error).split())
        reason = (message or type(error).__name__)[:120]
        expected, got = "a file of tensors", f"a damaged or other one ({reason}); {_OTHER}"
        if code := re.search(r"GLOBAL ([\w.]+)", message):
            expected, got = "tensors and plain values", f"{code[1]}, which needs code to load; {_OTHER}"
        raise RunError(f"{area}: {path}: expected {expected}, got {got}") from error


def _check_suffix(path: Path, area: str, suffixes: Sequence[str]) -> None:
    if path.suffix not in suffixes:
        listed = f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"
        _refuse(path, area, f"a file that ends in {listed}", f"{path.suffix!r}; name one of these")


def _refuse(path: Path, area: str, expected: str, got: str) -> NoReturn:
    raise RunError(f"{area}: {path}: expected {expected}, got {got}")
