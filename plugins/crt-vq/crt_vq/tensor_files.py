"""Tensors in files that other programs wrote, read without running code and checked by name and shape."""

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
    """The tensors in `path` (`.pt`, `.pth` or `.safetensors`) by name, under the first key of `wrappers` that is there.

    Raises: ValueError if the file is none of these, or has anything but tensors.
    """
    if path.suffix == ".safetensors":
        return dict(safetensors.torch.load_file(path))
    if path.suffix not in (".pt", ".pth"):
        raise ValueError(f"{path}: expected a file that ends on .safetensors, .pt or .pth, got {path.suffix!r}")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # public training code keeps its arguments
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path}: expected tensors and plain values, got objects that need code to load") from error
    if isinstance(content, dict):
        content = next((content[wrapper] for wrapper in wrappers if wrapper in content), content)
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"{path}: expected tensors by name, got something else")
    return content


def check_tensors(path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Sequence[int]], hint: str) -> None:
    """Compares names and shapes of the tensors of `path` with those expected.

    Raises: ValueError for the first difference, with the hint.
    """
    for name in sorted(expected.keys() | tensors.keys()):
        here = list(expected[name]) if name in expected else "absent"
        there = list(tensors[name].shape) if name in tensors else "absent"
        if here != there:
            raise ValueError(f"{path}: expected {name!r} to be {here}, got {there}; {hint}")
