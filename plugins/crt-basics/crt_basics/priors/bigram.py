"""A prior that counts pairs of neighbouring training ids.

Axes: b batch, n ids of a sample, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_basics.priors.table import TablePrior, TableSession
from crtcore.errors import RunError
from crtcore.noise import Noise

if TYPE_CHECKING:
    from crt_basics.priors.specs import Bigram, BigramExample

MOST = 2**12
"""The largest vocabulary: a table of 128 MiB."""


class BigramPrior(nn.Module):
    """How often each id follows another, or begins a sample; classes are ignored.

    One more occurrence of each id is spread over all, and as much as one of each pair is spread like the ids.
    """

    def __init__(self, vocabulary: int, classes: int | None) -> None:
        """It is empty until `derive`.

        Raises: RunError if the vocabulary is too large for a table.
        """
        super().__init__()
        if vocabulary > MOST:
            raise RunError(f"bigram: expected at most {MOST:,} ids, as their pairs are a table, got {vocabulary:,}")
        self.vocabulary, self.classes = vocabulary, classes or 0
        self.table: TablePrior | None = None

    def derive(
        self, tokenizer: Any, regularizers: Sequence[Any], ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None
    ) -> None:
        """Counts; the tokenizer and its regularisers are not used."""
        size = self.vocabulary
        before = functional.pad(ids[:, :-1], (1, 0), value=size)  # b n; the last context is that of the first id
        pairs = (before * size + ids)[ids >= 0]
        counts = torch.bincount(pairs, minlength=(size + 1) * size).view(size + 1, size).double()
        single = counts.sum(0) + 1
        logits = (counts + single / single.sum()).log()  # v+1 v
        self.table = TablePrior(logits.expand(self.classes + 1, -1, -1).clone())
        self.requires_grad_(False)

    @property
    def _counted(self) -> TablePrior:
        if self.table is None:
            raise RunError(
                "bigram: expected training ids, got none yet; they are counted by the experiments 'two-stage' and "
                "'drafting' for their prior or draft, not inside another prior"
            )
        return self.table

    def forward(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 v"]:
        """The table's rows.

        Raises: ValueError if rows or class ids are not as `check_rows` demands; RunError before anything is counted.
        """
        logits: Tensor = self._counted(ids, class_ids, noise=noise)
        return logits

    def open(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> TableSession:
        """A session that has committed `ids`.

        Raises: ValueError if rows or class ids are not as `check_rows` demands; RunError before anything is counted.
        """
        return self._counted.open(ids, class_ids, capacity=capacity, room=room)


def bigram(spec: Bigram, vocabulary: int, length: int, classes: int | None) -> BigramPrior:
    """A prior that has counted nothing."""
    return BigramPrior(vocabulary, classes)


def example(spec: BigramExample, vocabulary: int, length: int, classes: int | None) -> BigramPrior:
    """One that has counted ids from torch's generator."""
    prior = BigramPrior(vocabulary, classes)
    prior.derive(None, (), torch.randint(vocabulary, (4, length)), None)
    return prior
