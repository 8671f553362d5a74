"""Generated tasks: problems drawn by seed, split and index, and cached.

Axes: b batch, n ids of a row, k numbers of a problem, p ids of a prompt, e emitted ids. Id -1 means absent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor
from torch.nn import functional

from crt_latent.tasks.spec import TaskSpec
from crt_latent.tasks.task import Maker
from crt_latent.traces import between, delimiters, join_trace, lengths, loss_weights
from crt_nn.splits import check
from crtcore import Noise
from crtcore.errors import RunError
from crtcore.kinds import Batch

SPLITS = ("train", "validation", "test")
PARTS = 10
"""One part of the problems is for validation, one for test, the others for training."""
CHUNK = 4096
"""Rows drawn at a time."""
CROWD = 2**13
"""The most problems drawn at a time."""
PATIENCE = 2**14
"""Problems drawn for a row before an error is raised."""
SAMPLED = 64
"""Problems of each split in the checksum."""


class GeneratedTask:
    """Problems of a maker in three splits that share none.

    Sample i of a split depends on the seed, the split, i and the spec's other fields alone: a larger split keeps its
    first samples.
    """

    classes = None
    levels = None

    def __init__(self, spec: TaskSpec, maker: Maker) -> None:
        self.spec = spec
        self.maker = maker
        self.vocabulary = len(maker.texts) + 3
        self._places = {word: id_ for id_, word in enumerate(maker.texts)}
        self.fillers: Sequence[int] = getattr(maker, "fillers", ())
        """Ids of filler words, if the task has any."""
        self.sizes: Mapping[str, int] = {split: getattr(spec, split) for split in SPLITS}
        (width,) = spec.sample_shape
        self._kept = {split: torch.full((size, width), -1, dtype=torch.int32) for split, size in self.sizes.items()}
        digest = hashlib.sha256(repr(spec).encode())
        for split, size in self.sizes.items():
            digest.update(self.take(split, torch.arange(min(size, SAMPLED))).data.numpy().tobytes())
        self.checksum = digest.hexdigest()

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Batch:
        """Returns the traces of `split` at `indices`, padded with -1; the prompt has weight 0.

        Raises: ValueError if the split does not exist, IndexError if an index is out of range, RunError if no problem
        of this spec is in the split.
        """
        check(self.sizes, split, indices)
        kept = self._kept[split]
        missing = torch.unique(indices[lengths(kept[indices]) == 0])
        for new in torch.split(missing, CHUNK):
            kept[new] = self._draw(split, new).int()
        ids = kept[indices].long()
        return Batch(ids, None, loss_weights(ids, self.vocabulary))

    def check(self, prompt: Int[Tensor, "b p"], emitted: Int[Tensor, "b e"]) -> Bool[Tensor, " b"]:
        """Returns whether the solution among `emitted` solves the problem of `prompt`.

        Raises: ValueError if a prompt is not valid.
        """
        think, answer, end = delimiters(self.vocabulary)
        begun = (emitted == answer).cumsum(1) > 0
        ended = (begun & (emitted == end)).cumsum(1) > 0
        first, last = (emitted.shape[1] - each.sum(1) for each in (begun, ended))
        solution = between(emitted, first + 1, last)
        problem = between(prompt, torch.zeros_like(first), lengths(prompt.where(prompt != think, -1)))
        return self.maker.solved(problem, solution) & ended.any(1)

    def words(self, ids: Int[Tensor, " n"]) -> str:
        """Returns a row as text; ids beyond the vocabulary are codes."""
        texts = [*self.maker.texts, "<think>", "<answer>", "<end>"]
        return " ".join(texts[id_] if id_ < len(texts) else f"<{id_ - len(texts)}>" for id_ in ids.tolist() if id_ >= 0)

    def read(self, text: str) -> list[int] | None:
        """Returns the ids of words with spaces between them; None: the task has no such word."""
        ids = [self._places.get(word) for word in text.split()]
        known = [id_ for id_ in ids if id_ is not None]
        return known if len(known) == len(ids) else None

    def _draw(self, split: str, rows: Int[Tensor, " b"]) -> Int[Tensor, "b n"]:
        """Returns rows at indices: for each the first draw that can be used and belongs to the split."""
        noise = Noise(self.spec.seed, f"{type(self.spec).__name__} of {split}")
        (width,) = self.spec.sample_shape
        drawn = torch.full((len(rows), width), -1)
        missing, tried, more = torch.arange(len(rows)), 0, 2
        while len(missing) and tried < PATIENCE:
            seeds = noise.seeds(rows[missing, None], torch.arange(tried, tried + more)).flatten()
            problems = self.maker.problems(rows[missing].repeat_interleave(more), seeds)
            ours = (split_of(self.maker.key(problems)) == SPLITS.index(split)).nonzero()[:, 0]
            trace, fit = self.maker.traced(problems[ours], seeds[ours])
            owner = missing[ours // more][fit]
            first = owner != functional.pad(owner, (1, 0), value=-1)[:-1]
            ids = join_trace(trace, self.vocabulary)[fit][first]
            drawn[owner[first], : ids.shape[1]] = ids
            missing, tried = missing[lengths(drawn[missing]) == 0], tried + more
            more = min(2 * more, max(CROWD // max(len(missing), 1), 1))
        if len(missing):
            raise RunError(
                f"{type(self.spec).__name__}: expected a problem for {split} in {tried} draws, got none "
                f"with its hash; set fields that allow more problems ({self.spec})"
            )
        return drawn


def split_of(keys: Int[Tensor, "b k"]) -> Int[Tensor, " b"]:
    """Returns the split of each problem, as a place in `SPLITS`, by a hash without a seed."""
    mixed = Noise(0, "split of a problem").bits(keys + 1, torch.arange(keys.shape[1])).sum(1) % PARTS
    return torch.where(mixed < 2, 1 + mixed, 0)
