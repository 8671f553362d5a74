"""What transformers behind a class prefix share: features of ids, logits, and sessions.

Axes: b batch, n ids of a sample, t positions, w width, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

import abc

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from crtcore.nn.scope import Scope
from crtcore.nn.session import CachedSession


class Prefixed(nn.Module, abc.ABC):
    """Base of priors that read one position of a class and then the ids."""

    vocabulary: int
    classes: int
    embedding: nn.Embedding
    prefixes: nn.Embedding
    """A row for each class, and a last one that is unconditional."""
    head: nn.Module
    """States to logits."""

    @abc.abstractmethod
    def states(self, features: Float[Tensor, "b t w"], scope: Scope) -> Float[Tensor, "b t w"]:
        """The normalised last states within a scope."""

    @abc.abstractmethod
    def passed(self, ids: Int[Tensor, "b n"], condition: Int[Tensor, " b"] | None) -> Float[Tensor, "b n+1 w"]:
        """The normalised last states at the prefix and at each id, in a pass over whole samples."""

    def forward(self, ids: Int[Tensor, "b n"], condition: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b n+1 v"]:
        """Logits after the prefix and after each id.

        Raises: ValueError if there is a condition and the prior was built without classes.
        """
        return self.logits(self.passed(ids, condition))

    def hidden(self, ids: Int[Tensor, "b n"], condition: Int[Tensor, " b"] | None = None) -> Float[Tensor, "b n w"]:
        """The normalised last state at each id."""
        return self.passed(ids, condition)[:, 1:]

    def open(
        self, ids: Int[Tensor, "b n"], condition: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> CachedSession:
        """A session with cached keys and values."""
        return CachedSession(self, ids, condition, capacity=capacity, room=room)

    def begin(self, ids: Int[Tensor, "b n"], condition: Int[Tensor, " b"] | None) -> Float[Tensor, "b n+1 w"]:
        """Features of the prefix and the ids."""
        if condition is None:
            condition = ids.new_full((len(ids),), -1)
        elif not self.classes:
            raise ValueError("expected no condition, as this prior was built without classes, got one")
        prefix: Tensor = self.prefixes(condition.where(condition >= 0, self.classes))
        return torch.cat((prefix[:, None], self.embed(ids)), 1)

    def embed(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        """Features of ids; an absent one passes for id 0, as none that is there looks at it."""
        features: Tensor = self.embedding(ids.clamp(min=0))
        return features

    def logits(self, states: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        """Logits after each position."""
        logits: Tensor = self.head(states)
        return logits

    def start(self) -> None:
        """Gives every weight its first values.

        Source: LlamaGen, autoregressive/models/gpt.py, `initializer_range` and the zeroed output layer.
        """
        for module in self.modules():
            if isinstance(module, nn.Embedding | nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
        nn.init.zeros_(self.head.get_parameter("weight"))  # so that it starts at ln v
