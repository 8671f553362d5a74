"""The ids of a split: encoded on every run where they are few, else stored on disk once and mapped into memory.

Axes: b batch, n ids of a sample. Id -1 means absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from crt_run.likelihood import CHUNK
from crt_run.runs import checkpoint
from crt_run.training.ahead import take_ahead
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Dataset, Run, Stage, StagePlan, Tokenizer
from crtcore.noise import Noise

MANY = 2**18
"""Ids of a split from which on they are stored; fewer are encoded faster than a file is synced."""
PART = 256 * CHUNK
"""Samples in one file: the most that a kill loses."""
TRIED = 4
"""Batches that are encoded again before anything is trained on stored ids."""
NEAR = 1e-3
"""Largest error of an element of a decoded sample: an eighth of a level, with 256 levels from -1 to 1."""


class Rows:
    """Rows of integers in mapped files; indexing reads them as int64 onto a device."""

    def __init__(self, parts: Sequence[Int[Tensor, "b ..."]], device: torch.device) -> None:
        self._parts = parts
        self.device = device

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __getitem__(self, chosen: Int[Tensor, " b"]) -> Int[Tensor, "b ..."]:
        """The rows at the indices `chosen`."""
        places = chosen.cpu()
        rows = self._parts[0].new_empty(len(places), *self._parts[0].shape[1:])
        for index in sorted(set((places // PART).tolist())):
            here = places // PART == index
            rows[here] = self._parts[index][places[here] % PART]
        return rows.long().to(self.device)


class StoredIds(NamedTuple):
    """The ids of a split, and the classes of its samples."""

    ids: Tensor | Rows
    """b n"""
    class_ids: Tensor | Rows | None
    """b"""
    folder: Path | None
    """Where they are stored; None: in memory alone."""

    def at(self, chosen: Int[Tensor, " b"]) -> tuple[Int[Tensor, "b n"], Int[Tensor, " b"] | None]:
        """The ids and class ids of the samples `chosen`."""
        return self.ids[chosen], None if self.class_ids is None else self.class_ids[chosen]


def coded(run: Run, trained: StagePlan, dataset: Dataset, tokenizer: Tokenizer, split: str) -> StoredIds:
    """The ids and class ids of a whole split; many are stored in a stage, or read from it if they are there.

    `trained` is the stage that trained the tokenizer: the ids depend on what it depends on.
    Raises: RunError if the stored ids are of other data, Stopped between two files.
    """
    size = dataset.sizes[split]
    if size * tokenizer.length < MANY:
        return StoredIds(*encoded(run, dataset, tokenizer, split, spread(size)), None)
    with run.stage(trained, f"ids-{split}") as stage:
        parts = [_part(run, stage, dataset, tokenizer, split, first) for first in range(0, size, PART)]
        if not stage.finished:
            stage.save(len(parts), {}, {"samples": size, "checksum": dataset.checksum}, final=True)
    class_ids = [part["condition"] for part in parts if "condition" in part]
    return StoredIds(
        Rows([part["ids"] for part in parts], run.device),
        Rows(class_ids, run.device) if class_ids else None,
        stage.folder,
    )


def encoded(
    run: Run, dataset: Dataset, tokenizer: Tokenizer, split: str, rows: Int[Tensor, " b"]
) -> tuple[Int[Tensor, "b n"], Int[Tensor, " b"] | None]:
    """Encodes the samples `rows` of a split: their ids and class ids.

    Raises: RunError if the dataset has loss weights, which the prior's loss here ignores.
    """
    ids, every_class = [], []
    with torch.inference_mode():
        for batch in batches(dataset, split, rows):
            if batch.weight is not None:
                raise RunError("dataset: expected target ids of equal weight, got loss weights")
            class_ids = None if batch.class_ids is None else batch.class_ids.to(run.device)
            ids.append(tokenizer.encode(batch.data.to(run.device), class_ids))
            every_class.append(class_ids)
    known = [class_ids for class_ids in every_class if class_ids is not None]
    return torch.cat(ids).clone(), torch.cat(known) if known else None


def spread(size: int, count: int = 0) -> Int[Tensor, " b"]:
    """`count` evenly spaced indices below `size`; a count of 0 is all."""
    count = min(count or size, size)
    return torch.arange(count) * size // count


def batches(dataset: Dataset, split: str, rows: Int[Tensor, " b"]) -> Iterator[Any]:
    """The samples `rows` of a split, in batches of at most `CHUNK`."""
    chunks = torch.split(rows, CHUNK)
    for step in range(len(chunks)):
        yield take_ahead(dataset, split, chunks.__getitem__, step, len(chunks))


def _part(run: Run, stage: Stage, dataset: Dataset, tokenizer: Tokenizer, split: str, first: int) -> dict[str, Tensor]:
    """The rows of one file, mapped; encodes and saves them first if there is no such file."""
    folder = stage.folder / f"from-{first:012d}"
    rows = torch.arange(first, min(first + PART, dataset.sizes[split]))
    about = {"stage": stage.folder.name, "split": split, "samples": len(rows), "checksum": dataset.checksum}
    if not checkpoint.committed(folder):
        if run.stopping():
            raise Stopped
        ids, class_ids = encoded(run, dataset, tokenizer, split, rows)
        assert tokenizer.vocabulary is not None  # as there are ids
        narrow = torch.int16 if tokenizer.vocabulary <= 2**15 else torch.int32
        checkpoint.save(
            folder, {"ids": ids.to(narrow)} | ({} if class_ids is None else {"condition": class_ids.int()}), about
        )
    stored = checkpoint.mapped(folder)
    if stored.state != about:
        raise _unexpected(folder, stage.folder, f"the ids of {about}, got those of {stored.state}")
    return stored.tensors


def check_round_trip(run: Run, dataset: Dataset, tokenizer: Tokenizer, split: str, codes: StoredIds) -> None:
    """Encodes a few batches of a split again and compares them with the stored ids, then decodes those.

    The plan's seed chooses the batches; the run's facts record how many samples were compared.
    Raises: RunError if the ids differ, or decode to something else than the tokenizer's reconstruction.
    """
    if codes.folder is None:
        return
    size = len(codes.ids)
    starts = Noise(run.plan.seed, "round trip").order(-(-size // CHUNK))[:TRIED] * CHUNK
    tried = 0
    for start in starts.tolist():
        rows = torch.arange(start, min(start + CHUNK, size))
        batch = dataset.take(split, rows)
        stored, class_ids = codes.at(rows)
        _check_batch(codes.folder, tokenizer, batch.data.to(run.device), stored, class_ids)
        tried += len(rows)
    summary = f"{tried} of {size} samples ({tried / size:.2%}) encoded again, all equal to the stored ids"
    run.facts.setdefault("round_trip", {})[split] = summary


def _check_batch(
    folder: Path, tokenizer: Tokenizer, data: Tensor, stored: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None
) -> None:
    with torch.inference_mode():
        again = tokenizer.encode(data, class_ids)
        if not torch.equal(again, stored):
            others = int((again != stored).sum()) if again.shape == stored.shape else stored.numel()
            message = f"the ids that encoding gives again, got {others} others of {stored.numel()}"
            raise _unexpected(folder, folder, message)
        gap = (tokenizer.decode(stored, class_ids) - tokenizer(data, class_ids).reconstruction).abs().max()
        if not gap <= NEAR:
            message = f"ids that decode to the tokenizer's reconstruction within {NEAR}, got an error of {float(gap)!r}"
            raise _unexpected(folder, folder, message)


def _unexpected(where: Path, folder: Path, what: str) -> RunError:
    return RunError(
        f"ids: {where}: expected {what}; another tokenizer, other data or another device made them: "
        f"delete the folder {folder} and give the same command again"
    )
