"""Cases for the laws of decoders: table priors, batches, limits, samplings, and the exact distribution of rows.

Axes: b batch, n ids of a row, v vocabulary.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter

import attrs
import torch
from hypothesis import strategies
from torch import Tensor

from crt_basics.priors.table import TablePrior
from crt_run.sampling import probabilities
from crtcore.kinds.prior import Prior
from crtcore.settings import Limits, Sampling

CLASSES = 2


@attrs.frozen(kw_only=True)
class Tables:
    """Two random table priors, target and draft."""

    seed: int
    vocabulary: int
    order: int
    spread: float
    zeros: float
    """Fraction of impossible ids; at 1 every row is one-hot."""
    alike: bool
    """True: the draft is the target."""

    def build(self) -> tuple[TablePrior, TablePrior]:
        """The priors."""
        generator = torch.Generator().manual_seed(self.seed)
        target = self._table(generator)
        return target, target if self.alike else self._table(generator)

    def _table(self, generator: torch.Generator) -> TablePrior:
        shape = CLASSES + 1, (self.vocabulary + 1) ** self.order, self.vocabulary
        logits = self.spread * torch.randn(shape, generator=generator, dtype=torch.float64)
        never = torch.rand(shape, generator=generator) < self.zeros
        always = torch.randint(self.vocabulary, (*shape[:-1], 1), generator=generator)
        return TablePrior(logits.masked_fill(never.scatter(-1, always, False), -math.inf))


@attrs.frozen(kw_only=True)
class Batch:
    """Rows to generate: their prompts, class ids and seeds."""

    prompts: list[list[int]]
    first: int
    """Seed of the first row."""

    def prompt(self, vocabulary: int) -> Tensor:
        """Ragged prompts, b n."""
        width = max(len(row) for row in self.prompts)
        rows = [[x % vocabulary for x in row] + [-1] * (width - len(row)) for row in self.prompts]
        return torch.tensor(rows, dtype=torch.int64).reshape(len(rows), width)

    def class_ids(self) -> Tensor:
        """A class a row; -1 is none."""
        return torch.arange(len(self.prompts)) % (CLASSES + 1) - 1

    def seeds(self) -> Tensor:
        """A seed a row."""
        return self.first + torch.arange(len(self.prompts))


TABLES = strategies.builds(
    Tables,
    seed=strategies.integers(0, 2**31 - 1),
    vocabulary=strategies.integers(2, 4),
    order=strategies.integers(0, 2),
    spread=strategies.sampled_from([1.0, 4.0, 0.0]),
    zeros=strategies.sampled_from([0.0, 0.4, 1.0]),
    alike=strategies.booleans(),
)
BATCHES = strategies.builds(
    Batch,
    prompts=strategies.lists(strategies.lists(strategies.integers(0, 11), max_size=3), min_size=2, max_size=5),
    first=strategies.integers(0, 2**62),
)
STOPS = strategies.sampled_from([(), (0,), (0, 1)])
LENGTHS = strategies.sampled_from([3, 4, 5, 6, 2, 1, 0])
"""Three first: hypothesis prefers the first, and empty rows show little."""
LIMITS = strategies.builds(Limits, length=LENGTHS, stop=STOPS)
SHORT = strategies.builds(Limits, length=strategies.sampled_from([2, 3, 1, 0]), stop=STOPS)
"""Limits under which all rows can be listed."""
WARM = strategies.builds(
    Sampling,
    temperature=strategies.sampled_from([1.0, 1.7, 0.4]),
    top_k=strategies.sampled_from([0, 1, 2]),
    top_p=strategies.sampled_from([0.0, 0.6, 1.0]),
    min_p=strategies.sampled_from([0.0, 0.3]),
)
SAMPLINGS = WARM | strategies.just(Sampling(temperature=0))


def joint(
    target: Prior, prompt: Tensor, *, limits: Limits, sampling: Sampling, class_ids: Tensor
) -> dict[tuple[int, ...], float]:
    """The target's distribution of rows after one prompt: every sequence of full length, cut at its first stop id."""
    every = list(itertools.product(range(target.vocabulary), repeat=limits.length))
    rows = torch.tensor(every, dtype=torch.int64).reshape(len(every), limits.length)
    start = prompt[prompt >= 0]
    logits = target(torch.cat([start.expand(len(rows), -1), rows], 1), class_ids.expand(len(rows)))
    distributions = probabilities(logits.detach().double(), sampling)[:, len(start) : -1]  # b n v
    weights = distributions.gather(-1, rows[..., None])[..., 0].prod(-1).tolist()
    total: Counter[tuple[int, ...]] = Counter()
    for row, weight in zip(every, weights, strict=True):
        total[cut(row, limits)] += weight
    return dict(total)


def cut(row: tuple[int, ...], limits: Limits) -> tuple[int, ...]:
    """A row up to its first stop id."""
    ends = [place for place, x in enumerate(row, start=1) if x in limits.stop]
    return row[: min(ends, default=len(row))]
