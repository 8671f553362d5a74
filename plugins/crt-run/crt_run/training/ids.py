"""The ids of a split: taken anew where they are few, else kept on disk, found again, and mapped into memory.

Axes: b batch, n ids of a sample. Id -1 means absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from crt_run.runs import checkpoint
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Dataset, Run, Stage, Tokenizer
from crtcore.likelihood import CHUNK
from crtcore.noise import Noise

MANY = 2**18
"""Ids of a split from which on they are kept; fewer are encoded sooner than a file is brought to the disk."""
PART = 256 * CHUNK
"""Samples in one file: what a kill costs at most."""
TRIED = 4
"""Batches that are encoded again before anything is trained on kept ids."""
NEAR = 1e-3
"""How far an element of a decoded sample may be off: an eighth of a level, of 256 from -1 to 1."""


class Rows:
    """Rows of integers in files, read where they are asked for; they come as int64, on a device."""

    def __init__(self, parts: Sequence[Int[Tensor, "b ..."]], device: torch.device) -> None:
        self._parts = parts
        self.device = device

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __getitem__(self, chosen: Int[Tensor, " b"]) -> Int[Tensor, "b ..."]:
        """The rows at these places."""
        places = chosen.cpu()
        found = self._parts[0].new_empty(len(places), *self._parts[0].shape[1:])
        for index in sorted(set((places // PART).tolist())):
            here = places // PART == index
            found[here] = self._parts[index][places[here] % PART]
        return found.long().to(self.device)


class Codes(NamedTuple):
    """A split as a prior sees it."""

    ids: Tensor | Rows
    """b n"""
    condition: Tensor | Rows | None
    """b"""
    folder: Path | None
    """Where they are kept; None: nowhere."""

    def at(self, chosen: Int[Tensor, " b"]) -> tuple[Int[Tensor, "b n"], Int[Tensor, " b"] | None]:
        """The ids and conditions of some samples."""
        return self.ids[chosen], None if self.condition is None else self.condition[chosen]


def coded(run: Run, reads: tuple[str, ...], dataset: Dataset, tokenizer: Tokenizer, split: str) -> Codes:
    """The ids and conditions of a whole split; where there are many, from the disk, and kept there if they are not yet.

    `reads` are the plan's paths that the tokenizer depends on.
    Raises: RunError if what is kept is of other data, Stopped between two files.
    """
    size = dataset.sizes[split]
    if size * tokenizer.length < MANY:
        return Codes(*encoded(run, dataset, tokenizer, split, spread(size)), None)
    with run.stage(f"ids-{split}", reads) as stage:
        parts = [_part(run, stage, dataset, tokenizer, split, first) for first in range(0, size, PART)]
        if not stage.finished:
            stage.save(len(parts), {}, {"samples": size, "checksum": dataset.checksum}, final=True)
    conditions = [part["condition"] for part in parts if "condition" in part]
    return Codes(
        Rows([part["ids"] for part in parts], run.device),
        Rows(conditions, run.device) if conditions else None,
        stage.folder,
    )


def encoded(
    run: Run, dataset: Dataset, tokenizer: Tokenizer, split: str, rows: Int[Tensor, " b"]
) -> tuple[Int[Tensor, "b n"], Int[Tensor, " b"] | None]:
    """The ids and conditions of some samples of a split.

    Raises: RunError if the dataset weighs its targets, as the prior's loss here does not.
    """
    ids, conditions = [], []
    with torch.inference_mode():
        for batch in batches(dataset, split, rows):
            if batch.weight is not None:
                raise RunError("dataset: expected target ids that all count alike, got loss weights")
            condition = None if batch.condition is None else batch.condition.to(run.device)
            ids.append(tokenizer.encode(batch.data.to(run.device), condition))
            conditions.append(condition)
    known = [condition for condition in conditions if condition is not None]
    return torch.cat(ids).clone(), torch.cat(known) if known else None


def spread(size: int, count: int = 0) -> Int[Tensor, " b"]:
    """Evenly spaced places, `count` of `size`; 0 is all."""
    count = min(count or size, size)
    return torch.arange(count) * size // count


def batches(dataset: Dataset, split: str, rows: Int[Tensor, " b"]) -> Iterator[Any]:
    """Some samples of a split, a few at a time."""
    for chosen in torch.split(rows, CHUNK):
        yield dataset.take(split, chosen)


def _part(run: Run, stage: Stage, dataset: Dataset, tokenizer: Tokenizer, split: str, first: int) -> dict[str, Tensor]:
    """The rows of one file, mapped; they are encoded first if it is not there."""
    folder = stage.folder / f"from-{first:012d}"
    rows = torch.arange(first, min(first + PART, dataset.sizes[split]))
    about = {"split": split, "samples": len(rows), "checksum": dataset.checksum}
    if not checkpoint.committed(folder):
        if run.stopping():
            raise Stopped
        ids, condition = encoded(run, dataset, tokenizer, split, rows)
        narrow = torch.int16 if tokenizer.vocabulary <= 2**15 else torch.int32
        checkpoint.save(
            folder, {"ids": ids.to(narrow)} | ({} if condition is None else {"condition": condition.int()}), about
        )
    kept = checkpoint.mapped(folder)
    if kept.state != about:
        raise _strange(folder, stage.folder, f"the ids of {about}, got those of {kept.state}")
    return kept.tensors


def check_round_trip(run: Run, dataset: Dataset, tokenizer: Tokenizer, split: str, codes: Codes) -> None:
    """Tries a few batches of a split whose ids are kept: encoded again they must be the same, decoded the same data.

    Which ones hangs on the plan's seed; how many of all is told in the run's facts.
    Raises: RunError if they are not.
    """
    if codes.folder is None:
        return
    size = len(codes.ids)
    starts = Noise(run.plan.seed, "round trip").order(-(-size // CHUNK))[:TRIED] * CHUNK
    tried = 0
    for start in starts.tolist():
        rows = torch.arange(start, min(start + CHUNK, size))
        batch = dataset.take(split, rows)
        kept, condition = codes.at(rows)
        _same(codes.folder, tokenizer, batch.data.to(run.device), kept, condition)
        tried += len(rows)
    told = f"{tried} of {size} samples ({tried / size:.2%}) encoded again, all as they were kept"
    run.facts.setdefault("round_trip", {})[split] = told


def _same(
    folder: Path, tokenizer: Tokenizer, data: Tensor, kept: Int[Tensor, "b n"], condition: Int[Tensor, " b"] | None
) -> None:
    with torch.inference_mode():
        again = tokenizer.encode(data, condition)
        if not torch.equal(again, kept):
            share = (again == kept).double().mean() if again.shape == kept.shape else 0
            raise _strange(folder, folder, f"ids that come out again, got {share:.2%} of them in {len(kept)} samples")
        gap = (tokenizer.decode(kept, condition) - tokenizer(data, condition).reconstruction).abs().max()
        if not gap <= NEAR:
            message = f"ids that decode to the tokenizer's own reconstruction to {NEAR}, got them {gap:.2g} off"
            raise _strange(folder, folder, message)


def _strange(where: Path, folder: Path, what: str) -> RunError:
    return RunError(
        f"ids: {where}: expected {what}; another tokenizer, other data or another device made them: "
        f"delete the folder {folder} and give the same command again"
    )
