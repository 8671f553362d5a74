"""Prompts and references in a file of JSON Lines, as ids: what continuations of a language model are tested on.

Axes: b batch, n ids of a row.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from crt_data.specs import FIELD, Prompts
from crt_nn.json_files import json_lines
from crt_nn.splits import check
from crt_nn.text import Text
from crtcore.errors import RunError
from crtcore.kinds import Batch

SPLITS = ("train", "validation", "test")


class Entry(NamedTuple):
    """A prompt and its reference as texts."""

    prompt: str
    reference: str
    group: str
    """What the split depends on."""


class Row(NamedTuple):
    """A prompt and its reference as ids, one behind the other."""

    ids: list[int]
    start: int
    """Where the reference begins."""


class PromptRows:
    """Rows by split and index; a prompt's ids have weight 0, a reference's 1."""

    classes = None
    levels = None

    def __init__(self, spec: Prompts) -> None:
        self._text = Text(Path(spec.tokenizer).absolute(), "prompts")
        self.vocabulary = self._text.vocabulary
        path = Path(spec.file).absolute()
        first: dict[tuple[str, ...], Entry] = {}
        for entry in json_lines(path, "prompts", lambda line: _entry(line, spec)):
            first.setdefault(entry[:2], entry)  # whatever its group
        entries = list(first.values())
        self.checksum = hashlib.sha256(repr((entries, spec.length)).encode() + self._text.content).hexdigest()
        prompts, references = ([entry[part] for entry in entries] for part in (0, 1))
        rows: dict[str, list[Row]] = {split: [] for split in SPLITS}
        too_long = 0
        for entry, prompt, reference in zip(entries, self._text.ids(prompts), self._text.ids(references), strict=True):
            if not prompt or not reference or len(prompt) + len(reference) > spec.length:
                too_long += 1
            else:
                rows[split_of(entry.group)].append(Row([*prompt, *reference], len(prompt)))
        self._rows = rows
        self.sizes = {split: len(each) for split, each in rows.items()}
        self.left_out = {"empty or too long": too_long}
        if not all(self.sizes.values()):
            raise RunError(
                f"prompts: {path}: expected rows in each split, got {self.sizes} without {too_long} that are empty or "
                f"longer than {spec.length} ids; use a file with more lines, or a greater length"
            )
        self._width = max(len(row.ids) for each in rows.values() for row in each)

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """Returns the rows of `split` at `indices`, padded with -1.

        Raises: ValueError if the split does not exist, IndexError if an index is out of range.
        """
        check(self.sizes, split, indices)
        rows = [self._rows[split][index] for index in indices.tolist()]
        ids = torch.full((len(rows), self._width), -1)
        weight = torch.zeros(len(rows), self._width)
        for place, row in enumerate(rows):
            ids[place, : len(row.ids)] = torch.tensor(row.ids)
            weight[place, row.start : len(row.ids)] = 1
        return Batch(ids, None, weight)

    def text(self, ids: Sequence[int]) -> str:
        """The text of ids, without special tokens."""
        return self._text.text(ids)


def split_of(group: str) -> str:
    """The split of a prompt or a group: of ten one is for training, one for validation, the others for test."""
    digest = hashlib.sha256(group.encode()).digest()
    return {0: "train", 1: "validation"}.get(int.from_bytes(digest) % 10, "test")


def _entry(line: Any, spec: Prompts) -> Entry:
    """The entry of a line.

    Raises: ValueError if it is no object with the fields that are named.
    """
    texts = spec.template, spec.reference, spec.group or spec.template
    entry = Entry(*(re.sub(FIELD, lambda m: _field(line, m[1]), each) for each in texts))
    "".join(entry).encode()  # half of a surrogate pair has no bytes, and is a ValueError
    return entry


def _field(line: Any, name: str) -> str:
    value = line
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            raise ValueError(f"expected the field {name!r}, got none")
        value = value[part]
    if not isinstance(value, str):
        raise ValueError(f"expected a text in {name!r}, got {value!r}")
    return value
