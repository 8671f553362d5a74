"""Images a second of class-conditional sampling with a cache, eager and by CUDA graphs, in LlamaGen-B's shape.

All ways draw the same ids from the same law with the same coins, and are compared before they are timed: whole draws of
`ancestral` as they are; a graph of such a draw from end to end, with the session as it is; a graph of one step whose
shapes stay, each layer's keys and values in slots of which later ones are masked; and that step compiled. The ids are
those of a 256 by 256 image. Weights are random, in bfloat16; coins are drawn beforehand. The goal is 3 times eager.
Without a GPU it says so, and writes nothing.

Usage: python bench/gpu/images.py [--size B|small] [--codes N] [--batch N ...] [--side N] [--rounds N] [--backend NAME]

Axes: b batch, n ids of an image, s slots, v vocabulary.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from crt_ar.specs import LlamaGen
from kept import keep
from machine import here
from torch import Tensor, nn

import crtcore
from crtcore import Limits, Sampling
from crtcore.kinds import Prior
from crtcore.nn.scope import Scope
from crtcore.noise import Noise
from crtcore.sampling import pick, probabilities

SAMPLING = Sampling()
CLASSES = 1_000
GOAL = 3
NEAR = 0.9
"""Share of ids that are alike where shapes of products, and so their roundings, are not; a law drawn from wrong memory
shares about one in the vocabulary."""
Draw: TypeAlias = Callable[[Tensor], Tensor]
"""Classes, `b`, to ids, `b n`."""


def spec_of(size: str) -> LlamaGen:
    """LlamaGen's B, or a small one to try the bench itself."""
    if size == "small":
        return LlamaGen(layers=2, width=32, heads=2, attention="sdpa")
    return LlamaGen(size="B", attention="sdpa")


def coins_of(batch: int, length: int) -> Tensor:
    """The coins that `ancestral` draws for seeds 0 to b - 1."""
    seeds = torch.arange(batch, device=here().device)
    return Noise(seeds[:, None], "ancestral").bits(torch.arange(length, device=here().device).expand(batch, -1))


def eager(prior: Prior, batch: int, length: int) -> Draw:
    """The decoder `ancestral`, as it is."""
    spec: Any = crtcore.discover().find("decoder", "ancestral").spec()
    decoder = spec.build()
    nothing = torch.empty(batch, 0, dtype=torch.int64, device=here().device)
    seeds = torch.arange(batch, device=here().device)

    def draw(classes: Tensor) -> Tensor:
        ids: Tensor = decoder.draw(
            prior, nothing, draft=None, condition=classes, seeds=seeds, limits=Limits(length=length), sampling=SAMPLING
        ).ids
        return ids

    return draw


def whole(prior: Prior, batch: int, length: int) -> Draw:
    """A graph of a whole draw by a session: what `ancestral` does, without what asks the GPU for values."""
    coins = coins_of(batch, length)
    given = torch.zeros(batch, dtype=torch.int64, device=here().device)
    nothing = torch.empty(batch, 0, dtype=torch.int64, device=here().device)

    @torch.no_grad()
    def drawn() -> Tensor:
        session = prior.open(nothing, given, capacity=length - 1, room=1)
        ids = []
        for place in range(length):
            ids.append(pick(probabilities(session.tip, SAMPLING), coins[:, place]))
            if place < length - 1:
                session.extend(ids[-1][:, None])
                session.commit(torch.zeros_like(ids[-1][:, None]))
        return torch.stack(ids, 1)

    return started(drawn, given)


def started(drawn: Callable[[], Tensor], given: Tensor) -> Draw:
    """The replay of a captured draw for other classes."""
    again = here().captured(drawn)

    def draw(classes: Tensor) -> Tensor:
        given.copy_(classes)
        ids: Tensor = again()
        return ids

    return draw


class Shelves:
    """Memory as layers know it, whose shapes stay: a step writes the slot that a tensor names, and reads them all."""

    def __init__(self, slots: int, place: Tensor) -> None:
        self.slots, self.place = slots, place
        self.kept: dict[nn.Module, tuple[Tensor, ...]] = {}

    def put(self, layer: nn.Module, new: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Writes one slot of a layer; all that it has."""
        if layer not in self.kept:
            self.kept[layer] = tuple(part.new_zeros(part.shape[0], self.slots, *part.shape[2:]) for part in new)
        return tuple(shelf.index_copy_(1, self.place, part) for shelf, part in zip(self.kept[layer], new, strict=True))


class Stepper:
    """One step of a draw whose shapes stay: the id before in, an id out, the place counted on the machine itself."""

    def __init__(self, prior: Any, batch: int, length: int) -> None:
        like: dict[str, Any] = {"device": here().device, "dtype": torch.int64}
        self.prior, self.length = prior, length
        self.coins = coins_of(batch, length)
        self.classes, self.last = (torch.zeros(batch, **like) for _ in range(2))
        self.place = torch.zeros(1, **like)
        self.ids = torch.zeros(batch, length, **like)
        self.memory = Shelves(length, self.place)
        self._slots = torch.arange(length, **like)
        self.states: Callable[[Tensor, Tensor, Tensor], Tensor] = self._states

    def _states(self, features: Tensor, positions: Tensor, visible: Tensor) -> Tensor:
        """The law's logits behind features, `b 1 w`, within the memory."""
        memory: Any = self.memory
        states = self.prior.states(features, Scope(positions, visible, memory))
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
        coins = self.coins.index_select(1, self.place)[:, 0]
        self.last.copy_(pick(probabilities(logits, SAMPLING), coins))
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


WAYS: Mapping[str, Callable[..., Draw]] = {
    "eager": eager,
    "graph of a draw": whole,
    "graph of a step": stepped,
    "graph of a compiled step": compiled,
}


def built(size: str, codes: int, length: int) -> Prior:
    """The prior, with an output layer that says something."""
    torch.manual_seed(0)
    with torch.device(here().device):
        prior = spec_of(size).build(codes, length, CLASSES)
        head = prior.head.get_parameter("weight")
        nn.init.normal_(head, std=head.shape[1] ** -0.5)
    return prior.bfloat16().eval().requires_grad_(False)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--size", choices=["B", "small"], default="B")
    words.add_argument("--codes", type=int, default=16_384)
    words.add_argument("--batch", type=int, nargs="+", default=[32, 256])
    words.add_argument("--side", type=int, default=16)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--backend", default="inductor")
    given = words.parse_args()
    here()
    prior = built(given.size, given.codes, given.side**2)
    rows: list[dict[str, Any]] = []
    for batch in given.batch:
        for row in measured(prior, batch, given):
            rows.append(row)
            print(row, flush=True)
            keep("images", {**vars(given), "rows": rows})
    faster = [row["times eager"] for row in rows if "times eager" in row and row["way"] != "eager"]
    wrong = [f"{row['way']}, batch {row['batch']}" for row in rows if row.get("right") is False]
    best = f"{max(faster):.2f} times eager at best (goal {GOAL})" if faster else "no way but eager ran"
    print(f"{len(rows)} rows; {best}; wrong ids: {', '.join(wrong) or 'none'}")
    sys.exit(bool(wrong))


def measured(prior: Prior, batch: int, given: argparse.Namespace) -> Any:
    """A row for each way: whether its ids are those of eager, and its images a second."""
    classes = torch.arange(batch, device=here().device) % CLASSES
    others = classes.flip(0)
    expected, slow = torch.empty(0), 0.0
    for name, way in WAYS.items():
        row: dict[str, Any] = {"way": name, "batch": batch}
        try:
            began = time.perf_counter()
            draw = way(prior, batch, given.side**2, **({"backend": given.backend} if way is compiled else {}))
            draw(classes)
            ids = draw(others)
            here().finish()
            row["seconds to start"] = round(time.perf_counter() - began, 2)
        except Exception as problem:  # a compiler that does not fit raises anything
            yield {**row, "not run": " ".join(str(problem).split())[:300] or type(problem).__name__}
            continue
        if way is eager:
            expected = ids
        row["ids alike"] = float((ids == expected).double().mean())
        row["right"] = first_apart(ids, expected) >= NEAR
        seconds = [taken(draw, classes) for _ in range(given.rounds)]
        row["images a second"] = batch / min(seconds)
        slow = slow or min(seconds)
        row["times eager"] = slow / min(seconds)
        yield row
        here().finish()


def first_apart(ids: Tensor, expected: Tensor) -> float:
    """Of the ids up to the first one of each row that differs, the share that do not.

    Behind it a row is another image, as each id hangs on those before.
    """
    same = (ids == expected).long().cumprod(-1)
    compared = same.sum() + (same[:, -1] == 0).sum()
    return float(same.sum() / compared)


def taken(draw: Draw, classes: Tensor) -> float:
    """Seconds of a draw."""
    here().finish()
    began = time.perf_counter()
    draw(classes)
    here().finish()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
