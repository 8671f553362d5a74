"""MetaMathQA as a dataset of traces.

Axes: b batch, n ids of a trace, p of a prompt, e emitted ones. Id -1 means absent.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from crt_latent.metamath.answers import equal_answers
from crt_latent.metamath.entries import Entry, read_entries
from crt_latent.metamath.spec import MetaMath
from crt_latent.text_rows import DELIMITERS, Rows, answered, spelled
from crt_latent.traces import delimiters, loss_weights
from crt_nn.text import Text
from crtcore.errors import RunError
from crtcore.kinds import Batch

SPLITS = ("train", "validation", "test")
CHUNK = 4096
"""Entries tokenized at a time."""


class MetaMathTraces:
    """Traces by split and index; the delimiters are the three ids behind the tokenizer's."""

    classes = None
    levels = None
    fillers: Sequence[int] = ()
    """No ids are known to be fillers."""

    def __init__(self, spec: MetaMath) -> None:
        self._text = Text(Path(spec.tokenizer).absolute(), "metamath")
        self.vocabulary = self._text.vocabulary + len(DELIMITERS)
        entries = read_entries(Path(spec.file).absolute())
        self.checksum = hashlib.sha256(entries.checksum.encode() + self._text.content + b"%d" % spec.length).hexdigest()
        self._answers: dict[bytes, set[str]] = {}
        rows: dict[str, list[array[int]]] = {split: [] for split in SPLITS}
        too_long, seen = 0, set[bytes]()
        for split in SPLITS:  # of repeated entries the first split keeps one
            for entry, prompt, row in self._rows([each for each in entries.kept if each.split == split]):
                row_digest = hashlib.sha256(row.tobytes()).digest()
                if len(row) > spec.length:
                    too_long += 1
                elif row_digest not in seen:
                    seen.add(row_digest)
                    self._answers.setdefault(_key(prompt), set()).add(entry.answer)
                    rows[split].append(row)
        self._kept = Rows(rows)
        self.sizes: Mapping[str, int] = self._kept.sizes
        repeated = len(entries.kept) - too_long - len(seen)
        self.left_out: Mapping[str, int] = {
            "unanswered": entries.unanswered,
            "too long": too_long,
            "repeated": repeated,
        }
        if not all(self.sizes.values()):
            raise RunError(
                f"metamath: expected entries in each split of {spec.file}, got {dict(self.sizes)} without "
                f"{dict(self.left_out)}; use a file with more entries, or a greater length"
            )

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """Returns the traces of `split` at `indices`, padded with -1; the prompt has weight 0.

        Raises: ValueError if the split does not exist, IndexError if an index is out of range.
        """
        ids = self._kept.take(split, indices)
        return Batch(ids, None, loss_weights(ids, self.vocabulary))

    def check(self, prompt: Int[Tensor, "b p"], emitted: Int[Tensor, "b e"]) -> Bool[Tensor, " b"]:
        """Returns whether the text between <answer> and <end> equals an answer of the file to the prompt.

        Raises: ValueError if the file has no such prompt.
        """
        return torch.tensor([self._is_correct(*each) for each in zip(prompt.tolist(), emitted.tolist(), strict=True)])

    def words(self, ids: Int[Tensor, " n"]) -> str:
        """Returns a row as text; ids beyond the vocabulary are codes."""
        return spelled(ids, self._text)

    def _rows(self, entries: Sequence[Entry]) -> Iterator[tuple[Entry, list[int], array[int]]]:
        """Yields each entry with the ids of its prompt and of its whole trace."""
        think, answer, end = delimiters(self.vocabulary)
        for start in range(0, len(entries), CHUNK):
            chunk = entries[start : start + CHUNK]
            parts = ([getattr(each, name) for each in chunk] for name in ("query", "steps", "answer"))
            ids = [self._text.ids(part) for part in parts]
            for entry, prompt, steps, solution in zip(chunk, *ids, strict=True):
                yield entry, prompt, array("i", [*prompt, think, *steps, answer, *solution, end])

    def _is_correct(self, prompt: list[int], emitted: list[int]) -> bool:
        asked = [id_ for id_ in prompt if id_ >= 0 and id_ != delimiters(self.vocabulary).think]
        if not (known := self._answers.get(_key(asked))):
            raise ValueError(f"expected a prompt of these traces, got {self.words(torch.tensor(prompt))!r}")
        if (given := answered(emitted, self.vocabulary)) is None:
            return False
        return any(equal_answers(self._text.text(given), each) for each in known)


def _key(prompt: Sequence[int]) -> bytes:
    return hashlib.sha256(array("i", prompt).tobytes()).digest()
