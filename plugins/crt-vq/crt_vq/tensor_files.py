"""Tables of tensors in files that other programs wrote: read without running what is in them, and checked."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor


def read(path: Path, wrappers: Sequence[str] = ()) -> dict[str, Tensor]:
    """The tensors in `path`, `.pt`, `.pth` or `.safetensors`, by name; those under the first of `wrappers` it has.

    Raises: ValueError if the file is none of these, or holds anything else.
    """
    if path.suffix == ".safetensors":
        return dict(safetensors.torch.load_file(path))
    if path.suffix not in (".pt", ".pth"):
        raise ValueError(f"{path}: expected a file that ends on .safetensors, .pt or .pth, got {path.suffix!r}")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # public training code keeps its arguments
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path}: expected tensors and plain values, got what only running it can read") from error
    if isinstance(content, dict):
        content = next((content[wrapper] for wrapper in wrappers if wrapper in content), content)
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"{path}: expected a table of tensors, got something else")
    return content


def matched(path: Path, found: Mapping[str, Tensor], wanted: Mapping[str, Sequence[int]], hint: str) -> None:
    """Makes sure that the tensors of `path` are those that are wanted, each in its shape.

    Raises: ValueError with the first that is not, and the hint.
    """
    for name in sorted(wanted.keys() | found.keys()):
        here = list(wanted[name]) if name in wanted else "absent"
        there = list(found[name].shape) if name in found else "absent"
        if here != there:
            raise ValueError(f"{path}: expected {name!r} to be {here}, got {there}; {hint}")
