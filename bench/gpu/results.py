"""Writes results of GPU benches: a file for each, and one file of all that is easy to copy.

A file is complete or absent, so that a machine that stops in the middle leaves the earlier results.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "CRT_GPU_RESULTS"
"""The environment variable that names another folder than `bench/results`."""
OUT = "CRT_GPU_OUT"
"""The environment variable that names the folder for one file of all results."""
ALL = "gpu-results.json"


def folder() -> Path:
    """Where a result is a file."""
    return Path(os.environ.get(FOLDER) or ROOT / "bench" / "results")


def write(name: str, values: Mapping[str, Any]) -> Path:
    """Writes a result, and once more among all of them where a folder for that is named."""
    path = folder() / f"gpu-{name}.json"
    whole(path, values)
    if out := os.environ.get(OUT):
        whole(
            Path(out) / ALL, {each.name: json.loads(each.read_text()) for each in sorted(folder().glob("gpu-*.json"))}
        )
    return path


def unpacked(carried: Path) -> list[Path]:
    """Writes each result of one file to its own."""
    paths = []
    for name, values in json.loads(carried.read_text()).items():
        paths.append(folder() / Path(name).name)
        whole(paths[-1], values)
    return paths


def whole(path: Path, values: Mapping[str, Any]) -> None:
    """Writes a file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(values, indent=2) + "\n")
    beside.replace(path)
