"""Base of autoregressive transformers that read one first position, then ids.

Axes: b batch, n ids of a sample, t positions, w width, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

import abc

from jaxtyping import Float, Int
from torch import Tensor, nn

from crt_nn.context import AttentionContext
from crt_nn.session import CachedSession
from crtcore.noise import Noise


class Causal(nn.Module, abc.ABC):
    """Base of priors with one position before the ids."""

    vocabulary: int
    classes: int
    embedding: nn.Embedding

    @abc.abstractmethod
    def begin(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None) -> Float[Tensor, "b n+1 w"]:
        """Returns features of the first position and of the ids.

        Raises: ValueError if class ids are given and the prior was built without classes.
        """

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

        Raises: ValueError if class ids are given and the prior was built without classes.
        """
        return self.logits(self.forward_states(ids, class_ids, noise))

    def hidden(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b n w"]:
        """Returns the normalised last state at each id."""
        return self.forward_states(ids, class_ids)[:, 1:]

    def open(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> CachedSession:
        """Opens a session with a KV cache."""
        return CachedSession(self, ids, class_ids, capacity=capacity, room=room)

    def embed(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        """Returns features of ids. An absent id is embedded as id 0, which no present position attends to."""
        features: Tensor = self.embedding(ids.clamp(min=0))
        return features
