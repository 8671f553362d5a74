"""How results of GPU benches are kept: with the machine, the versions, and hashes that show when they are stale."""

from __future__ import annotations

import datetime
import hashlib
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import results
import torch
from machine import here

from crt_verify.kernels.build import source_hash

NAMED = ("triton", "xformers", "flashinfer-python", "sgl-kernel", "transformers", "numpy")
"""Packages whose versions are kept where they are installed."""
KEEPING = ("kept", "results")
"""Modules that write results, and measure nothing."""


def keep(name: str, values: Any, *, script: str = "") -> None:
    """Writes results with the device, the versions and hashes of the kernels' sources and of the script.

    `script`: the bench that made them, where it has another name.
    """
    about = {
        "device": here().name,
        "rehearsed": here().rehearsed,
        "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "versions": {package: number for package in NAMED if (number := installed(package))},
        "source": source_hash(),
        "script": script_hash(Path(__file__).with_name(f"{script or name}.py")),
        "tree": tree_hash(),
    }
    results.write(name, {**about, "results": values})


def installed(package: str) -> str | None:
    """The version of a package, or None if it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def script_hash(script: Path) -> str:
    """A hash of a bench and of the modules beside it that it imports, itself or through others; not of `KEEPING`."""
    paths, digest = [script], hashlib.sha256()
    for path in paths:  # which grows
        text = path.read_text()
        digest.update(f"{path.name}\0{text}\0".encode())
        named = [script.with_name(f"{name}.py") for name in re.findall(r"^(?:from|import) (\w+)", text, re.MULTILINE)]
        paths += [each for each in named if each not in paths and each.stem not in KEEPING and each.exists()]
    return digest.hexdigest()[:16]


def tree_hash() -> str:
    """A hash of every source of the core, the plugins and the benches, by name and content."""
    digest = hashlib.sha256()
    for top in ("crtcore", "plugins", "bench"):
        for path in sorted((results.ROOT / top).rglob("*")):
            if path.suffix in (".py", ".cu", ".cuh", ".cpp") and path.is_file():
                digest.update(str(path.relative_to(results.ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
