"""A target whose sessions keep the hidden states that a head reads, at each committed position.

Axes: b batch, n ids of a sample, t new nodes, m tentative nodes, k committed nodes, w width, u states of all layers
that are read, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from crt_ar.llama.network import LlamaTransformer
from crt_hf.as_read import AsRead
from crt_nn.context import AttentionContext
from crt_nn.session import CachedSession
from crtcore.noise import Noise


class Features:
    """Hidden states of a target after what its rows have committed."""

    def __init__(self, states: Float[Tensor, "b n u"], present: Bool[Tensor, "b n"], capacity: int) -> None:
        self._states = states.new_zeros(len(states), capacity + 1, states.shape[2])  # the last slot is for absent ones
        self.count: Int[Tensor, " b"] = present.new_zeros(len(states), dtype=torch.int64)
        """Positions of each row."""
        self.add(states, present)

    def add(self, states: Float[Tensor, "b k u"], present: Bool[Tensor, "b k"]) -> None:
        """Adds the states of committed positions, in order."""
        last = self._states.shape[1] - 1
        places = (self.count[:, None] + present.cumsum(1) - 1).where(present, last).clamp(max=last)
        self._states.scatter_(1, places[..., None].expand_as(states), states)
        self.count = self.count + present.sum(1)

    def at(self, places: Int[Tensor, "b t"]) -> tuple[Float[Tensor, "b t u"], Bool[Tensor, "b t"]]:
        """Returns the states at places, and which of them there are."""
        there = (places >= 0) & (places < self.count[:, None])
        index = places.clamp(0, self._states.shape[1] - 1)[..., None].expand(-1, -1, self._states.shape[2])
        return self._states.gather(1, index), there

    @property
    def kept(self) -> Float[Tensor, "b n u"]:
        """The states of all rows, each from its front; those behind its `count` are of no position."""
        return self._states[:, :-1]


class Layered:
    """A network that keeps what comes out of some of its blocks, of which each call adds one tensor to `seen`."""

    def __init__(self, network: LlamaTransformer, layers: Sequence[int]) -> None:
        self.network, self.layers = network, tuple(layers)
        self.vocabulary = network.vocabulary
        self.embedding: nn.Embedding = network.embedding
        self.seen: list[Tensor] = []

    def begin(self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None) -> Float[Tensor, "b n+1 w"]:
        """Returns features of the first position and of the ids."""
        return self.network.begin(ids, class_ids)

    def embed(self, ids: Int[Tensor, "b t"]) -> Float[Tensor, "b t w"]:
        """Returns features of ids."""
        return self.network.embed(ids)

    def states(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """Returns the normalised last states."""
        streams = {0: features}
        result: Tensor = self.network.stack(features, context._replace(streams=streams))
        self.seen.append(torch.cat([streams[layer] for layer in self.layers], -1))
        return result

    def logits(self, states: Float[Tensor, "b t w"]) -> Float[Tensor, "b t v"]:
        """Returns logits after each position."""
        return self.network.logits(states)


class Watched:
    """A prior that reads prompts as they are; `features` are those of the session that was opened last."""

    longest: int | None = None

    def __init__(self, network: LlamaTransformer, layers: Sequence[int]) -> None:
        """`layers` are after how many blocks states are read; 0 is what the first block reads."""
        self.network = network
        self._network = Layered(network, layers)
        self._prior = AsRead(self._network)
        self.vocabulary, self.embedding = network.vocabulary, network.embedding
        self.features: Features | None = None

    def __call__(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 v"]:
        """Returns logits after each part of a row.

        Raises: ValueError as the prior does.
        """
        logits = self._prior(ids, class_ids, noise=noise)
        self._network.seen.clear()
        return logits

    def read(self, ids: Int[Tensor, "b n"]) -> Float[Tensor, "b n u"]:
        """Returns the states at each id of whole rows.

        Raises: ValueError as the prior does.
        """
        self._prior(ids)
        return self._network.seen.pop()

    def open(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> WatchedSession:
        """Opens a session.

        Raises: ValueError as the prior does.
        """
        session = self._prior.open(ids, class_ids, capacity=capacity, room=room)
        self.features = Features(self._network.seen.pop(), ids >= 0, capacity)
        return WatchedSession(session, self._network.seen, self.features)


class WatchedSession:
    """A session that adds the states of what it commits to features."""

    next_logits: Float[Tensor, "b v"]

    def __init__(self, session: CachedSession, seen: list[Tensor], features: Features) -> None:
        self._session, self._seen, self._features = session, seen, features
        self._nodes: list[tuple[Tensor, Tensor]] = []
        self.next_logits = session.next_logits

    def extend(self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t v"]:
        """Adds tentative nodes and returns the logits after each.

        Raises: ValueError as the session does.
        """
        logits = self._session.extend(ids, parents)
        self._nodes.append((self._seen.pop(), ids >= 0))
        return logits

    def commit(self, path: Int[Tensor, "b k"]) -> None:
        """Commits columns of a path, and drops every other tentative node.

        Raises: ValueError as the session does.
        """
        self._session.commit(path)
        self.next_logits = self._session.next_logits
        if self._nodes:
            states, present = (torch.cat(each, 1) for each in zip(*self._nodes, strict=True))
            at = path.clamp(min=0)
            kept = present.gather(1, at) & (path >= 0)
            self._features.add(states.gather(1, at[..., None].expand(-1, -1, states.shape[2])), kept)
        self._nodes = []
