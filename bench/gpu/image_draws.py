"""Ways to sample images with a cache: eager, a graph of a whole draw, and a graph of one step, also compiled.

All use the uniforms of the decoder `ancestral`, so they draw the same ids.

Axes: b batch, n ids of an image, s slots, v vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from machine import here
from torch import Tensor, nn

import crtcore
from crt_nn.context import AttentionContext
from crt_run.sampling import pick, probabilities
from crtcore import Limits, Sampling
from crtcore.kinds import Prior, Request
from crtcore.noise import Noise

SAMPLING = Sampling()
Draw: TypeAlias = Callable[[Tensor], Tensor]
"""Classes, `b`, to ids, `b n`."""


def uniforms_of(batch: int, length: int) -> Tensor:
    """The uniforms that `ancestral` uses for seeds 0 to b - 1."""
    seeds = torch.arange(batch, device=here().device)
    return Noise(seeds[:, None], "ancestral").bits(torch.arange(length, device=here().device).expand(batch, -1))


def eager(prior: Prior, batch: int, length: int) -> Draw:
    """The decoder `ancestral`, as it is."""
    spec: Any = crtcore.discover().find("decoder", "ancestral").spec()
    decoder = spec.build()
    nothing = torch.empty(batch, 0, dtype=torch.int64, device=here().device)
    seeds = torch.arange(batch, device=here().device)

    def draw(classes: Tensor) -> Tensor:
        request = Request(nothing, Limits(length=length), SAMPLING, classes, seeds)
        ids: Tensor = decoder.generate(prior, request).ids
        return ids

    return draw


def whole(prior: Prior, batch: int, length: int) -> Draw:
    """A graph of a whole draw by a session, as `ancestral` does it, without reading values from the GPU."""
    uniforms = uniforms_of(batch, length)
    class_ids = torch.zeros(batch, dtype=torch.int64, device=here().device)
    nothing = torch.empty(batch, 0, dtype=torch.int64, device=here().device)

    @torch.no_grad()
    def drawn() -> Tensor:
        session = prior.open(nothing, class_ids, capacity=length - 1, room=1)
        ids = []
        for place in range(length):
            ids.append(pick(probabilities(session.next_logits, SAMPLING), uniforms[:, place]))
            if place < length - 1:
                session.extend(ids[-1][:, None])
                session.commit(torch.zeros_like(ids[-1][:, None]))
        return torch.stack(ids, 1)

    return started(drawn, class_ids)


def started(drawn: Callable[[], Tensor], class_ids: Tensor) -> Draw:
    """The replay of a captured draw for other classes."""
    again = here().captured(drawn)

    def draw(classes: Tensor) -> Tensor:
        class_ids.copy_(classes)
        ids: Tensor = again()
        return ids

    return draw


class Shelves:
    """A KV cache of fixed shapes: a step writes the slot that a tensor names, and reads all slots."""

    def __init__(self, slots: int, place: Tensor) -> None:
        self.slots, self.place = slots, place
        self.kept: dict[nn.Module, tuple[Tensor, ...]] = {}

    def update(self, layer: nn.Module, new: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Writes one slot of a layer, and returns all slots."""
        if layer not in self.kept:
            self.kept[layer] = tuple(part.new_zeros(part.shape[0], self.slots, *part.shape[2:]) for part in new)
        return tuple(shelf.index_copy_(1, self.place, part) for shelf, part in zip(self.kept[layer], new, strict=True))


class Stepper:
    """One step of a draw whose shapes stay: the id before in, an id out, the place counted on the machine itself."""

    def __init__(self, prior: Any, batch: int, length: int) -> None:
        like: dict[str, Any] = {"device": here().device, "dtype": torch.int64}
        self.prior, self.length = prior, length
        self.uniforms = uniforms_of(batch, length)
        self.classes, self.last = (torch.zeros(batch, **like) for _ in range(2))
        self.place = torch.zeros(1, **like)
        self.ids = torch.zeros(batch, length, **like)
        self.memory = Shelves(length, self.place)
        self._slots = torch.arange(length, **like)
        self.states: Callable[[Tensor, Tensor, Tensor], Tensor] = self._states

    def _states(self, features: Tensor, positions: Tensor, visible: Tensor) -> Tensor:
        """The logits after features, `b 1 w`, with the memory here."""
        memory: Any = self.memory
        states = self.prior.states(features, AttentionContext(positions, visible, memory))
        logits: Tensor = self.prior.logits(states)
        return logits[:, 0]

    @torch.no_grad()
    def __call__(self) -> Tensor:
        """Draws the next id of each row."""
        empty = self.last.new_empty(len(self.last), 0)
        first = self.prior.begin(empty, self.classes)  # b 1 w
        features = torch.where(self.place == 0, first, self.prior.embed(self.last[:, None]))
        positions = self.place.expand(len(self.last), 1)
        visible = (self._slots <= self.place).expand(len(self.last), 1, -1)  # b 1 s
        logits = self.states(features, positions, visible)
        uniforms = self.uniforms.index_select(1, self.place)[:, 0]
        self.last.copy_(pick(probabilities(logits, SAMPLING), uniforms))
        self.ids.index_copy_(1, self.place, self.last[:, None])
        self.place.add_(1)
        return self.last

    def start(self, classes: Tensor) -> None:
        """Begins a draw; what older ones left in memory is behind the place, so that nothing reads it."""
        self.classes.copy_(classes)
        self.place.zero_()


def stepped(prior: Prior, batch: int, length: int) -> Draw:
    """A graph of one step, replayed for each id."""
    return by_steps(Stepper(prior, batch, length))


def compiled(prior: Prior, batch: int, length: int, backend: str = "inductor") -> Draw:
    """The same, and the network in the step compiled."""
    stepper = Stepper(prior, batch, length)
    stepper()  # the memory is made outside
    stepper.states = torch.compile(stepper.states, backend=backend, fullgraph=True, dynamic=False)
    return by_steps(stepper, opaque=True)


def by_steps(stepper: Stepper, *, opaque: bool = False) -> Draw:
    """Draws by a captured step."""
    stepper()  # so that it captures no first call
    stepper.place.zero_()
    again = here().captured(stepper, opaque=opaque)

    def draw(classes: Tensor) -> Tensor:
        stepper.start(classes)
        for _ in range(stepper.length):
            again()
        return stepper.ids.clone()

    return draw
