"""Priors that no stage trains, as an experiment makes them of what stage 1 has trained.

Axes: b batch, n ids of a sample. Id -1 means absent, class id -1 none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from crtcore.kinds import Prior, Regularizer, Tokenizer

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor


@runtime_checkable
class Derived(Prior, Protocol):
    """A prior over a tokenizer's ids that is made of what stage 1 has trained; no stage trains it."""

    def derive(
        self,
        tokenizer: Tokenizer,
        regularizers: Sequence[Regularizer],
        ids: Int[Tensor, "b n"],
        class_ids: Int[Tensor, " b"] | None,
    ) -> None:
        """Makes the prior of a trained tokenizer, its regularisers and training ids; before, it refuses to be read.

        Raises: RunError if they do not make one.
        """
