"""What transformers share that read a first position and then ids: whole passes, and sessions.

Axes: b batch, n ids of a sample, t positions, w width, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

import abc

from jaxtyping import Float, Int
from torch import Tensor, nn

from crt_nn.context import AttentionContext
from crt_nn.session import CachedSession


class Causal(nn.Module, abc.ABC):
    """Base of priors with one position before the ids."""

    vocabulary: int
    classes: int
    embedding: nn.Embedding

    @abc.abstractmethod
    def begin(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None) -> Float[Tensor, "b n+1 w"]:
        """Features of the first position and the ids.

        Raises: ValueError if there is a condition and the prior was built without classes.
        """

    @abc.abstractmethod
    def states(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """The normalised last states within a scope."""

    @abc.abstractmethod
    def logits(self, states: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        """Logits after each position."""

    @abc.abstractmethod
    def forward_states(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None) -> Float[Tensor, "b n+1 w"]:
        """The normalised last states at the first position and at each id, in a pass over whole samples."""

    def forward(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b n+1 v"]:
        """Logits after the first position and after each id.

        Raises: ValueError if there is a condition and the prior was built without classes.
        """
        return self.logits(self.forward_states(ids, class_ids))

    def hidden(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b n w"]:
        """The normalised last state at each id."""
        return self.forward_states(ids, class_ids)[:, 1:]

    def open(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> CachedSession:
        """A session with cached keys and values."""
        return CachedSession(self, ids, class_ids, capacity=capacity, room=room)

    def embed(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        """Features of ids; an absent one passes for id 0, as none that is there looks at it."""
        features: Tensor = self.embedding(ids.clamp(min=0))
        return features
