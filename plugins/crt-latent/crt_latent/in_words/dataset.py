"""A generated task as text in the ids of a model's tokenizer.

Axes: b batch, n ids of a row, p of a prompt, e emitted ones. Id -1 means absent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from crt_latent.in_words.spec import InWords
from crt_latent.tasks.generated import SPLITS, GeneratedTask
from crt_latent.text_rows import DELIMITERS, Rows, answered, spelled
from crt_latent.traces import delimiters, loss_weights, split_trace
from crt_nn.text import Text
from crtcore.errors import RunError
from crtcore.kinds import Batch

CHUNK = 4096
"""Rows tokenized at a time."""


class WordTraces:
    """Traces by split and index; the delimiters are the three ids behind the tokenizer's."""

    classes = None
    levels = None
    fillers: Sequence[int] = ()
    """Fillers of the task are words like others here."""

    def __init__(self, spec: InWords) -> None:
        task = spec.dataset.build()
        assert isinstance(task, GeneratedTask)
        self._task = task
        self._text = Text(Path(spec.tokenizer).absolute(), "in-words")
        self.vocabulary = self._text.vocabulary + len(DELIMITERS)
        self._kept = Rows({split: self._rows(split) for split in SPLITS})
        self.sizes = self._kept.sizes
        self.checksum = hashlib.sha256(task.checksum.encode() + self._text.content).hexdigest()

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """Returns the traces of `split` at `indices`, padded with -1; the prompt has weight 0.

        Raises: ValueError if the split does not exist, IndexError if an index is out of range.
        """
        ids = self._kept.take(split, indices)
        return Batch(ids, None, loss_weights(ids, self.vocabulary))

    def check(self, prompt: Int[Tensor, "b p"], emitted: Int[Tensor, "b e"]) -> Bool[Tensor, " b"]:
        """Returns whether the words between <answer> and <end> solve the problem of the prompt.

        Raises: ValueError if a prompt is not one of the task.
        """
        _, answer, end = delimiters(self._task.vocabulary)
        problems, answers = [], []
        for asked, given in zip(prompt.tolist(), emitted.tolist(), strict=True):
            ids = [id_ for id_ in asked if 0 <= id_ < self._text.vocabulary]
            if (problem := self._task.read(self._text.text(ids))) is None:
                raise ValueError(f"expected a prompt of these traces, got {self.words(torch.tensor(asked))!r}")
            said = answered(given, self.vocabulary)
            read = None if said is None else self._task.read(self._text.text(said))
            problems.append(problem)
            answers.append([] if read is None else [answer, *read, end])
        return self._task.check(_padded(problems), _padded(answers))

    def words(self, ids: Int[Tensor, " n"]) -> str:
        """Returns a row as text; ids beyond the vocabulary are codes."""
        return spelled(ids, self._text)

    def _rows(self, split: str) -> Iterator[list[int]]:
        """Yields each row of a split.

        Raises: RunError if the tokenizer does not give the words of a row back.
        """
        think, answer, end = delimiters(self.vocabulary)
        for indices in torch.split(torch.arange(self._task.sizes[split]), CHUNK):
            trace = split_trace(self._task.take(split, indices).data, self._task.vocabulary)
            prompts, steps, solutions = (self._tokens(part) for part in trace)
            for prompt, step, solved in zip(prompts, steps, solutions, strict=True):
                yield [*prompt, think, *step, answer, *solved, end]

    def _tokens(self, part: Int[Tensor, "b n"]) -> list[list[int]]:
        texts = [self._task.words(row) for row in part]
        tokens = self._text.ids([f" {text}" if text else "" for text in texts])
        for text, ids in zip(texts, tokens, strict=True):
            if self._text.text(ids).split() != text.split():
                raise RunError(
                    f"in-words: expected a tokenizer that gives {text!r:.120} back, got {self._text.text(ids)!r:.120}; "
                    "use that of a model of text"
                )
        return tokens


def _padded(rows: Sequence[Sequence[int]]) -> Int[Tensor, "b n"]:
    width = max(map(len, rows), default=0)
    return torch.tensor([[*row, *[-1] * (width - len(row))] for row in rows], dtype=torch.int64).view(len(rows), width)
