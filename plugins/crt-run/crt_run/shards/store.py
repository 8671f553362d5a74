"""A folder of shards: safetensors files for ranges of numbered samples, each whole or not there.

A shard is renamed into place, then its record with its hash. Once all are there, `manifest.json` has the records.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
from torch import Tensor

from crt_run.runs import checkpoint, files
from crt_run.runs.records import read_json, seal
from crt_run.runs.run import alone
from crtcore.errors import RunError, in_one_line
from crtcore.kinds import Json, digest

ABOUT = "about.json"
MANIFEST = "manifest.json"
_LOCK = "writing"
_END = ".safetensors"
_OWN = "begun"
"""The key under which a record holds the digest of what its shard is part of."""


class Span(NamedTuple):
    """Numbers of samples: `size` of them, from `first` on."""

    first: int
    size: int

    @property
    def name(self) -> str:
        """The file of its shard."""
        return f"shard-{self.first:09d}{_END}"


def spans(samples: int, size: int) -> list[Span]:
    """All samples in ranges of `size`; the last one may be shorter."""
    return [Span(first, min(size, samples - first)) for first in range(0, samples, size)]


class Store:
    """A folder of shards that have the same settings, `about`."""

    def __init__(self, folder: Path, about: Json) -> None:
        self.folder = folder
        self.about = json.loads(json.dumps(about))  # as it is read again
        self.key = digest(self.about)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Begins the folder, or goes on with it; one command at a time works there.

        Raises: RunError if the folder was begun with other settings, or holds something else.
        """
        with files.reading(self.folder):
            self._check_ours()
        with alone(self.folder / _LOCK):
            with files.reading(self.folder):
                checkpoint.tidy(self.folder)
            if (self.folder / ABOUT).exists():
                self._check(read_json(self.folder / ABOUT, "settings")["settings"])
            else:
                seal(self.folder / ABOUT, {"settings": self.about})
            yield

    def _check_ours(self) -> None:
        if not self.folder.exists():
            return
        if not self.folder.is_dir():
            raise RunError(f"{self.folder}: expected a folder, got a file; name another")
        own = (ABOUT, f"{_LOCK}.lock")
        names = sorted(path.name for path in self.folder.iterdir() if not path.name.startswith(".tmp-"))
        if ABOUT not in names and not set(names) <= set(own):
            raise RunError(
                f"{self.folder}: expected an empty folder, or one where the same command has begun, got one with "
                f"{', '.join(names[:3])}; name another folder"
            )

    def _check(self, settings: Json) -> None:
        if settings == self.about:
            return
        differ = "; ".join(_differences(settings, self.about))
        raise RunError(
            f"{self.folder}: the folder was begun with other settings: {differ}; give those settings again, or name "
            "another folder"
        )

    def write(self, span: Span, tensors: Mapping[str, Tensor], **facts: Any) -> None:
        """Writes the shard of a range, then its record, which has `facts` too.

        Raises: RunError if writing fails.
        """
        content = safetensors.torch.save(dict(tensors))
        files.write(self.folder / span.name, content)
        record = {"file": span.name, **span._asdict(), "sha256": hashlib.sha256(content).hexdigest(), **facts}
        seal(_record(self.folder, span.name), {_OWN: self.key, "shard": record})

    def finished(self) -> dict[int, dict[str, Any]]:
        """The first number of each shard that was written to its record; none of other settings.

        Raises: RunError if a record or the manifest is damaged.
        """
        known: dict[int, dict[str, Any]] = {}
        if (self.folder / MANIFEST).exists():
            manifest = read_json(self.folder / MANIFEST, "shards")
            known = {each["first"]: each for each in manifest["shards"] if manifest["settings"] == self.about}
        for path in sorted(self.folder.glob("shard-*.json")):
            record = read_json(path, "shard")
            if record[_OWN] == self.key:
                known[record["shard"]["first"]] = record["shard"]
        return known

    def whole(self) -> tuple[set[int], list[str]]:
        """The first numbers of shards whose files have their hash, and the names of files that do not.

        A record that is damaged counts as that of a damaged file.
        """
        damaged = []
        for path in (self.folder / MANIFEST, *sorted(self.folder.glob("shard-*.json"))):
            try:
                if path.exists():
                    read_json(path, "settings" if path.name == MANIFEST else "shard")
            except RunError:
                damaged.append(path.name)
                with files.writing(path):
                    path.unlink()
        whole = set()
        for first, record in self.finished().items():
            try:
                checked(self.folder, record)
                whole.add(first)
            except RunError:
                damaged.append(record["file"])
        return whole, damaged

    def commit(self, expected: Sequence[Span], **totals: Any) -> dict[str, Any]:
        """Writes the manifest of all shards, and removes their records, which it has.

        Raises: RunError if one is missing.
        """
        known = self.finished()
        if missing := [span.name for span in expected if known.get(span.first, {}).get("size") != span.size]:
            raise RunError(f"{self.folder}: {len(missing)} of {len(expected)} shards are missing, first {missing[0]}")
        values = {"settings": self.about, **totals, "shards": [known[span.first] for span in expected]}
        seal(self.folder / MANIFEST, values)
        with files.writing(self.folder):
            for span in expected:
                _record(self.folder, span.name).unlink(missing_ok=True)
        return values


def _differences(then: Json, now: Json, before: str = "") -> Iterator[str]:
    """What differs, in words, by the names of values and of tables around them."""
    for name in sorted({*then, *now}):
        one, other = then.get(name), now.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _differences(one, other, f"{before}{name}.")
        elif one != other:
            yield f"{before}{name} {one!r:.80}, now {other!r:.80}"


def _record(folder: Path, name: str) -> Path:
    return folder / f"{name.removesuffix(_END)}.json"


def checked(folder: Path, record: Json) -> bytes:
    """The content of a shard.

    Raises: RunError if it is missing, not readable, or has another hash than its record.
    """
    path = folder / record["file"]
    if not path.is_file():
        raise RunError(
            f"{path}: expected a shard, got no file; give the command that drew it again, which draws it alone"
        )
    content = files.read(path)
    if (got := hashlib.sha256(content).hexdigest()) != record["sha256"]:
        raise RunError(
            f"{path}: the shard was damaged, expected SHA-256 {record['sha256']!r}, got {got!r}; give the command that "
            "drew it again, which draws this shard alone"
        )
    return content


def tensors(folder: Path, record: Json) -> dict[str, Tensor]:
    """The tensors of a shard.

    Raises: RunError as `checked`, or if they cannot be read.
    """
    try:
        return safetensors.torch.load(checked(folder, record))
    except (safetensors.SafetensorError, LookupError, ValueError) as error:
        raise RunError(f"{folder / record['file']}: expected tensors, got {in_one_line(error)}") from None
