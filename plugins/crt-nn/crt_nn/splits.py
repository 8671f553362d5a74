"""What `take` of a dataset refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor


def check(sizes: Mapping[str, int], split: str, indices: Int[Tensor, " b"]) -> None:
    """Nothing, if there are such samples.

    Raises: ValueError if there is no such split, IndexError if an index is not in it.
    """
    if split not in sizes:
        raise ValueError(f"expected a split of {', '.join(sizes)}, got {split!r}")
    outside = indices[(indices < 0) | (indices >= sizes[split])]
    if len(outside):
        raise IndexError(f"expected indices from 0 to {sizes[split] - 1}, got {int(outside[0])}")
