"""A network of crt-ar over prompts as they are read: each row's first id is its first position.

Axes: b batch, n ids of a sample, v vocabulary.
"""

from __future__ import annotations

import copy
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from crt_nn.context import AttentionContext
from crt_nn.ranges import check_rows
from crt_nn.session import CachedSession, Network
from crtcore.noise import Noise


@runtime_checkable  # so that test-time type checkers accept it
class Readable(Network, Protocol):
    """A network whose ids have an embedding."""

    embedding: nn.Embedding


class AsRead:
    """The distribution of the next id after at least one; a row's first id is uniform."""

    longest: int | None = None

    def __init__(self, network: Readable) -> None:
        self.network = network
        self.vocabulary = network.vocabulary
        self.embedding: nn.Embedding = network.embedding
        self.named_parameters = getattr(network, "named_parameters", dict)
        self.packing: str = getattr(network, "packing", "")

    def __call__(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 v"]:
        """Returns logits after each part of a row.

        Raises: ValueError as `check_rows` does.
        """
        check_rows(ids, class_ids, self.vocabulary, 0)
        none = self.embedding.weight.new_zeros(len(ids), 1, self.vocabulary)
        if not ids.shape[1]:
            return none
        places = torch.arange(ids.shape[1], device=ids.device).expand(len(ids), -1)
        states = self.network.states(self.network.embed(ids), AttentionContext(places))
        return torch.cat((none, self.network.logits(states)), 1)

    def open(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> CachedSession:
        """Opens a session of the network.

        Raises: ValueError as `check_rows` does, or if a row has no id.
        """
        check_rows(ids, class_ids, self.vocabulary, 0, entry=True)
        if not ids.shape[1] or (ids[:, 0] < 0).any():
            raise ValueError("expected rows of at least one id, which is the first position, got one of none")
        first = self.network.embed(ids[:, :1])  # b 1 w
        network = copy.copy(self.network)  # with the same weights

        def begin(ids: Tensor, class_ids: Tensor | None) -> Tensor:
            return torch.cat((first, network.embed(ids)), 1)

        network.begin = begin  # type: ignore[method-assign]
        return CachedSession(network, ids[:, 1:], None, capacity=capacity - 1, room=room)
