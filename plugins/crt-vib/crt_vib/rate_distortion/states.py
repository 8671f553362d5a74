"""Reads hidden states of a language model before an answer, and the answer.

Axes: b batch, n ids of a row, w width of a state. Id -1 means absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor, nn

from crt_run.training.ids import batches, spread
from crt_vib.lists.spec import KnownJoint
from crt_vib.rate_distortion.spec import RateDistortion
from crtcore.errors import RunError, Stopped
from crtcore.kinds import Batch, Dataset, DatasetSpec, Plan, Prior, Run, View


class Trunk(Prior, Protocol):
    """A prior whose insides a bottleneck can read."""

    def hidden(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b n w"]:
        """The hidden state at each id, from which the logits after it come."""


class Prompts(NamedTuple):
    """Rows up to the id at which the state is read."""

    ids: Int[Tensor, "b n"]
    class_ids: Int[Tensor, " b"] | None
    place: Int[Tensor, " b"]
    """Index of the last id, at which the state is read."""
    answers: Int[Tensor, " b"]


class Examples(NamedTuple):
    """States and answers of a split."""

    states: Float[Tensor, "b w"]
    answers: Int[Tensor, " b"]


def prompts(batch: Batch, *, meta: int | None, distance: int, at_meta: bool) -> Prompts:
    """Rows up to the id that is `distance` before the answer, METAs not counted; rows that are too short are left out.

    METAs before that id stay; with `at_meta` another one is appended.
    """
    ids = batch.data
    rank = ((ids >= 0) if meta is None else (ids >= 0) & (ids != meta)).cumsum(1)  # b n
    enough = rank[:, -1] > distance
    ids, rank = ids[enough], rank[enough]
    last = rank[:, -1:]
    answers = ids.gather(1, (rank >= last).int().argmax(1, keepdim=True)).squeeze(1)
    place = (rank >= last - distance).int().argmax(1)
    kept = ids.where(torch.arange(ids.shape[1]) <= place[:, None], -1)
    if at_meta:
        assert meta is not None
        place = place + 1
        kept = nn.functional.pad(kept, (0, 1), value=-1).scatter(1, place[:, None], meta)
    width = int(place.max()) + 1 if len(place) else 0
    class_ids = None if batch.class_ids is None else batch.class_ids[enough]
    return Prompts(kept[:, :width], class_ids, place, answers)


class Reading(NamedTuple):
    """Where states are read, and of how many rows."""

    read: str
    """As in `RateDistortion.read`."""
    distance: int
    dataset: DatasetSpec
    rows: Mapping[str, int]
    """Split to the most rows that are read."""

    @property
    def joint(self) -> Float64[np.ndarray, "x y"] | None:
        """The distribution of cases and answers, where it is known."""
        return self.dataset.joint() if isinstance(self.dataset, KnownJoint) and self.distance == 1 else None


def declared(plan: View) -> Reading:
    """What the training of a probe reads."""
    rows = {split: plan[f"experiment.{split}"] for split in ("train", "validation")}
    return Reading(plan["experiment.read"], plan["experiment.distance"], plan["dataset"], rows)


def tested(plan: Plan, spec: RateDistortion) -> Reading:
    """What the final numbers are of."""
    return Reading(spec.read, spec.distance, plan.parts["dataset"], {"test": spec.test})


def read_examples(reading: Reading, prior: Trunk, dataset: Any, split: str, run: Run) -> Examples:
    """States and answers of evenly spaced rows of a split.

    If a case is read, the state is the one-hot case of a row.

    Raises: RunError if there are fewer than two rows, Stopped between two batches.
    """
    parts = []
    with torch.inference_mode():
        for prompt in _prompts(reading, dataset, split, run):
            if reading.joint is not None and reading.read == "case":
                states = nn.functional.one_hot(dataset.cases(prompt.ids), len(reading.joint))
            else:
                states = prior.hidden(prompt.ids, prompt.class_ids)[torch.arange(len(prompt.ids)), prompt.place]
            parts.append(Examples(states.float(), prompt.answers))
    if (count := sum(len(each.answers) for each in parts)) < 2:
        raise RunError(
            f"rate-distortion: expected at least 2 rows of {split!r} with more than {reading.distance} ids "
            f"(experiment.distance), got {count}; take longer rows or a smaller distance"
        )
    return Examples(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def correct_answers(reading: Reading, prior: Prior, dataset: Dataset, split: str, run: Run) -> Bool[Tensor, " b"]:
    """Whether the language model's likeliest next id is the answer, for each row whose state is read.

    Raises: Stopped between two batches.
    """
    correct = []
    with torch.inference_mode():
        for prompt in _prompts(reading, dataset, split, run):
            logits = prior(prompt.ids, prompt.class_ids)[torch.arange(len(prompt.ids)), prompt.place + 1]
            correct.append(logits.argmax(-1) == prompt.answers)
    return torch.cat(correct)


def _prompts(reading: Reading, dataset: Dataset, split: str, run: Run) -> Iterator[Prompts]:
    """The prompts of a split on the run's device, a batch at a time."""
    meta = dataset.vocabulary - 1 if reading.dataset.marked and dataset.vocabulary is not None else None
    for batch in batches(dataset, split, spread(dataset.sizes[split], reading.rows[split])):
        if run.stopping():
            raise Stopped
        prompt = prompts(batch, meta=meta, distance=reading.distance, at_meta=reading.read == "meta")
        if len(prompt.ids):
            yield Prompts._make(part if part is None else part.to(run.device) for part in prompt)
