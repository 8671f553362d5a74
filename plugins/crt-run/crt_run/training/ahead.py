"""Batches in an order that is known: a dataset that can reads the next ones while this one is used.

Axes: b batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxtyping import Int
from torch import Tensor

from crtcore.kinds import Batch


def take_ahead(dataset: Any, split: str, order: Callable[[int], Int[Tensor, " b"]], step: int, steps: int) -> Batch:
    """The batch of `split` at `order(step)`; those of the next steps below `steps` are begun first.

    How many is the dataset's `ahead`, and its `prefetch(split, indices)` begins one; a dataset without them has none.
    What a batch holds does not depend on it.
    """
    ahead = getattr(dataset, "ahead", 0)
    for later in range(step, min(step + 1 + ahead, steps)) if ahead else ():
        dataset.prefetch(split, order(later))
    batch: Batch = dataset.take(split, order(step))
    return batch
