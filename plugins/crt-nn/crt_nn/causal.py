"""Base of autoregressive transformers that read one first position, then ids.

Axes: b batch, n ids of a sample, t positions, w width, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

import abc

from jaxtyping import Float, Int
from torch import Tensor, nn

from crt_nn.context import AttentionContext
from crt_nn.ranges import check_rows
from crt_nn.session import CachedSession
from crt_nn.starts import leading, put_back, without
from crtcore.kinds import Session
from crtcore.noise import Noise


class Causal(nn.Module, abc.ABC):
    """Base of priors with one position before the ids."""

    vocabulary: int
    classes: int
    embedding: nn.Embedding
    longest: int | None = None
    """Most ids of a row; None: positions are not limited."""
    merged: int | None = None
    """The id that is the first position itself where it begins a row without a class; None: no id is."""

    @abc.abstractmethod
    def begin(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None) -> Float[Tensor, "b n+1 w"]:
        """Returns features of the first position and of the ids, which are in range."""

    @abc.abstractmethod
    def states(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Returns the normalised last states of positions within a context."""

    @abc.abstractmethod
    def logits(self, states: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        """Returns logits after each position."""

    @abc.abstractmethod
    def forward_states(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 w"]:
        """Returns the normalised last states at the first position and at each id of whole samples."""

    def forward(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 v"]:
        """Returns logits after the first position and after each id.

        Raises: ValueError if rows or class ids are not as `check_rows` demands.
        """
        return self.logits(self._all_states(ids, class_ids, noise))

    def hidden(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b n w"]:
        """Returns the normalised last state at each id.

        Raises: ValueError if rows or class ids are not as `check_rows` demands.
        """
        return self._all_states(ids, class_ids, None)[:, 1:]

    def open(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> Session:
        """Opens a session with a KV cache.

        Raises: ValueError if rows or class ids are not as `check_rows` demands, or the capacity is beyond the rows'.
        """
        self._check(ids, class_ids, entry=True)
        if self.longest is not None and capacity > self.longest:
            raise ValueError(f"expected a capacity of at most {self.longest} ids, as a row has, got {capacity}")
        return CachedSession(self, ids, class_ids, capacity=capacity, room=room, start=self.merged)

    def _all_states(self, ids: Tensor, class_ids: Tensor | None, noise: Noise | None) -> Tensor:
        self._check(ids, class_ids)
        if self.merged is None:
            return self.forward_states(ids, class_ids, noise)
        count = leading(ids, class_ids, self.merged)
        return put_back(self.forward_states(without(ids, count), class_ids, noise), count)

    def _check(self, ids: Tensor, class_ids: Tensor | None, *, entry: bool | None = None) -> None:
        check_rows(ids, class_ids, self.vocabulary, self.classes, longest=self.longest, entry=entry)

    def embed(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        """Returns features of ids. An absent id is embedded as id 0, which no present position attends to."""
        features: Tensor = self.embedding(ids.clamp(min=0))
        return features
