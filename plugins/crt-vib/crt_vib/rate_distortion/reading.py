"""Hidden states of a language model before an answer, and the answer.

Axes: b batch, n ids of a row, w width of a state. Id -1 means absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from crt_run.training.ids import batches, spread
from crt_vib.rate_distortion.spec import RateDistortion
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Batch, Dataset, Prior, Run, Trunk


class Prompts(NamedTuple):
    """What is given of rows."""

    ids: Int[Tensor, "b n"]
    condition: Int[Tensor, " b"] | None
    place: Int[Tensor, " b"]
    """Where the state is read: at the last id that is given."""
    answers: Int[Tensor, " b"]


class Examples(NamedTuple):
    """What was read of a split."""

    states: Float[Tensor, "b w"]
    answers: Int[Tensor, " b"]


def prompts(batch: Batch, *, meta: int | None, distance: int, at_meta: bool) -> Prompts:
    """Rows up to the id that is `distance` before the answer, METAs not counted; those too short are left out.

    METAs before that id stay; with `at_meta` another one is put behind it.
    """
    ids = batch.data
    rank = ((ids >= 0) if meta is None else (ids >= 0) & (ids != meta)).cumsum(1)  # b n
    enough = rank[:, -1] > distance
    ids, rank = ids[enough], rank[enough]
    last = rank[:, -1:]
    answers = ids.gather(1, (rank >= last).int().argmax(1, keepdim=True)).squeeze(1)
    place = (rank >= last - distance).int().argmax(1)
    given = ids.where(torch.arange(ids.shape[1]) <= place[:, None], -1)
    if at_meta:
        assert meta is not None
        place = place + 1
        given = nn.functional.pad(given, (0, 1), value=-1).scatter(1, place[:, None], meta)
    width = int(place.max()) + 1 if len(place) else 0
    condition = None if batch.condition is None else batch.condition[enough]
    return Prompts(given[:, :width], condition, place, answers)


def read(
    spec: RateDistortion, prior: Trunk, dataset: Any, split: str, run: Run, *, meta: int | None, cases: int
) -> Examples:
    """States and answers of evenly spaced rows of a split, as many as `spec` asks for, or there are.

    Where `spec` reads the case of a row, its state is that one of so many `cases`.

    Raises: RunError if there are fewer than two, Stopped between two batches.
    """
    found = []
    with torch.inference_mode():
        for given in _given(spec, dataset, split, run, meta=meta):
            if spec.read == "case":
                states = nn.functional.one_hot(dataset.cases(given.ids), cases)
            else:
                states = prior.hidden(given.ids, given.condition)[torch.arange(len(given.ids)), given.place]
            found.append(Examples(states.float(), given.answers))
    if (count := sum(len(each.answers) for each in found)) < 2:
        raise RunError(
            f"rate-distortion: expected at least 2 rows of {split!r} with more than {spec.distance} ids "
            f"(experiment.distance), got {count}; take longer rows or a smaller distance"
        )
    return Examples(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def answered(
    spec: RateDistortion, prior: Prior, dataset: Dataset, split: str, run: Run, *, meta: int | None
) -> Bool[Tensor, " b"]:
    """Whether the language model itself has the answer for the likeliest id, row for row of what is read.

    Raises: Stopped between two batches.
    """
    found = []
    with torch.inference_mode():
        for given in _given(spec, dataset, split, run, meta=meta):
            logits = prior(given.ids, given.condition)[torch.arange(len(given.ids)), given.place + 1]
            found.append(logits.argmax(-1) == given.answers)
    return torch.cat(found)


def _given(spec: RateDistortion, dataset: Dataset, split: str, run: Run, *, meta: int | None) -> Iterator[Prompts]:
    """What is given of the rows, a batch at a time, on the run's device."""
    for batch in batches(dataset, split, spread(dataset.sizes[split], getattr(spec, split))):
        if run.stopping():
            raise Stopped
        given = prompts(batch, meta=meta, distance=spec.distance, at_meta=spec.read == "meta")
        if len(given.ids):
            yield Prompts._make(part if part is None else part.to(run.device) for part in given)
