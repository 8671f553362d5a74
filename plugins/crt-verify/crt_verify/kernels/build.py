"""Compiles device code at first use, and caches the libraries by a hash of sources, command and compiler."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from crt_nn.native import compiler as compilers
from crt_nn.native.compiler import NotBuilt, cache_folder, version

FOLDER = Path(__file__).parent


def sources() -> tuple[Path, ...]:
    """Every file of device code."""
    return tuple(sorted(path for path in FOLDER.iterdir() if path.suffix in (".cuh", ".cu", ".cpp")))


@cache
def source_hash() -> str:
    """A hash of all device code, file names included."""
    digest = hashlib.sha256()
    for path in sources():
        digest.update(f"{path.name}\0{path.read_text()}\0".encode())
    return digest.hexdigest()[:16]


def compiled(
    compiler: str, source: str, flags: Sequence[str], *, targets: Sequence[str], part: str, processor: str = ""
) -> Path:
    """The library of a part of a source for some targets, compiled now or before; `processor` is what it is fit for.

    Raises: NotBuilt with the compiler's last lines.
    """
    key = hashlib.sha256("\0".join((source_hash(), version(compiler), *flags, processor)).encode()).hexdigest()[:16]
    path = _cache() / f"{Path(source).stem}-{key}.so"
    if compilers.compiled(compiler, FOLDER / source, flags, library=path):
        note(path.stem, {"part": part, "compiled": list(targets), "compiler": version(compiler).splitlines()[0]})
    return path


def note(name: str, facts: Mapping[str, Any]) -> None:
    """Writes facts about the current device code."""
    _cache().mkdir(parents=True, exist_ok=True)
    (_cache() / f"{name}.json").write_text(json.dumps({"source": source_hash(), **facts}))


def noted() -> Iterator[Mapping[str, Any]]:
    """The facts that were written about the current device code.

    Raises: NotBuilt if a note cannot be read.
    """
    for path in sorted(_cache().glob("*.json")):
        try:
            facts = json.loads(path.read_text())
            current = facts["source"] == source_hash()
        except (ValueError, TypeError, KeyError) as error:
            raise NotBuilt(f"expected a note about device code in {path}; delete it") from error
        if current:
            yield facts


def _cache() -> Path:
    return cache_folder("crt-verify")
