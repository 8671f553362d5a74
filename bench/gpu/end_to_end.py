"""What verification and the commit of keys and values take of a decoding step on this GPU.

Two pairs with random weights in bfloat16 draft and verify trees after a cached prompt: a target of Llama-7B's shape
with a draft of 117M parameters, and one of the shape of SmolLM2-135M with a draft of 18M. Their logits are computed and
then replaced by a pair of distributions with a chosen overlap, as random models never agree. Parts of a step by CUDA
events, medians over steps; keys and values are committed by our kernel in one launch, and beside it by the session
itself. Launches are not captured in a graph, so that at batch 1 every part but the kernels waits for the CPU. Without a
GPU it prints so, and writes nothing.

Usage: python bench/gpu/end_to_end.py [--rounds N] [--pair 7B|135M|small ...] [--batch B ...] [--cached C] [--overlap A]

Axes: b batch, t new nodes, m nodes of a tree (the root counted), s slots, g heads of keys, d head width, v vocabulary.
"""

from __future__ import annotations

import argparse
import statistics
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from kept import keep
from machine import here
from torch import Tensor, nn

from crt_ar.llama.network import LlamaTransformer
from crt_ar.llama.shape import LlamaShape
from crt_nn.context import AttentionContext
from crt_nn.session import CachedSession
from crt_verify.drafters import Beam, Chain, Drafter
from crt_verify.drafters.draft_session import DraftSession
from crt_verify.kernels.commit import commit
from crt_verify.verdict import Verdict, check
from crtcore import Sampling
from crtcore.kinds import Session


class Pair(NamedTuple):
    """A target and its draft."""

    vocabulary: int
    target: LlamaShape
    draft: LlamaShape


PAIRS: dict[str, Pair] = {
    # Touvron et al. (2023), arXiv:2302.13971, table 2 and section 2.2; the draft is ours
    "7B": Pair(
        32_000,
        LlamaShape(32, 4096, 32, 32, 11008, tied=False, base=10_000.0),
        LlamaShape(4, 1024, 8, 8, 2816, tied=False, base=10_000.0),
    ),
    # HuggingFaceTB/SmolLM2-135M, config.json; the draft is ours
    "135M": Pair(
        49_152,
        LlamaShape(30, 576, 9, 3, 1536, tied=True, base=100_000.0),
        LlamaShape(4, 288, 9, 3, 768, tied=True, base=100_000.0),
    ),
    # to try the bench itself
    "small": Pair(1000, LlamaShape(2, 64, 4, 2, 96, tied=True), LlamaShape(1, 32, 2, 1, 48, tied=True)),
}
DRAFTERS: dict[str, tuple[Drafter, str]] = {
    "chain 5": (Chain(length=5), "single"),
    "rsd-s (5,6)": (Beam(width=5, length=6), "recursive"),
}
REPLACED = "replacement"
"""The part of a step that only this bench has."""
END = "end"
WARM = 3
"""Steps before those that count."""


class Clock:
    """When the parts of a step began; each ends where the next one begins."""

    def __init__(self, now: Callable[[], Any], between: Callable[[Any, Any], float]) -> None:
        self._now, self._between = now, between
        self._marks: list[tuple[str, Any]] = []

    def __call__(self, part: str) -> None:
        """Begins a part, or ends the step."""
        self._marks.append((part, self._now()))

    def spent(self) -> list[dict[str, float]]:
        """The time of each part of each step; clears the marks."""
        steps, spent = [], defaultdict[str, float](float)
        for (part, start), (after, stop) in pairwise(self._marks):
            if part != END:
                spent[part] += self._between(start, stop)
            if after == END:
                steps.append(dict(spent))
                spent.clear()
        self._marks.clear()
        return steps


class Together:
    """A network whose layers keep keys and values in one tensor, so that one launch commits them all."""

    def __init__(self, prior: LlamaTransformer, rows: int, slots: int) -> None:
        self.vocabulary = prior.vocabulary
        self.begin, self.embed, self.logits = prior.begin, prior.embed, prior.logits
        self._prior, shape = prior, prior.shape
        each = (rows, slots, shape.key_heads, shape.width // shape.heads)
        self._kept = prior.embedding.weight.new_zeros(shape.layers, 2, *each)
        self._layers: dict[nn.Module, int] = {}
        self._offset = 0
        self._first: tuple[int, Tensor] | None = None
        """The slot of the first node since the last commit, and how many each row had committed."""

    def states(self, features: Tensor, context: AttentionContext) -> Tensor:
        """The network's, with its memory here."""
        assert context.cache is not None
        self._offset = context.cache.offset
        if self._first is None and context.visible is not None:  # nodes come with a mask, and the prompt without
            self._first = self._offset, context.positions[:, 0]
        memory: Any = self
        return self._prior.states(features, context._replace(cache=memory))

    def update(self, layer: nn.Module, new: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """As `KVCache.update`."""
        kept = self._kept[self._layers.setdefault(layer, len(self._layers))]  # 2 b s g d
        stop = self._offset + new[0].shape[1]
        for shelf, part in zip(kept, new, strict=True):
            shelf[:, self._offset : stop] = part
        return tuple(kept[:, :, :stop])

    def commit(self, path: Tensor) -> None:
        """Keeps the nodes of a path; node 0 is there in every row, and absent ones come last."""
        assert self._first is not None
        shelves, (bound, counts) = self._kept.flatten(0, 2), self._first
        times = len(shelves) // len(path)
        commit(shelves, path.repeat(times, 1), counts.repeat(times), bound)
        self._first = None


class FixedLogits:
    """A session that computes logits and replaces them by those of one distribution."""

    def __init__(self, session: Session, logits: Tensor, together: Together | None, clock: Clock, *parts: str) -> None:
        self.session, self.next_logits = session, session.next_logits
        self._logits, self._together, self._clock, self._parts = logits, together, clock, parts

    def extend(self, ids: Tensor, parents: Tensor | None = None) -> Tensor:
        """Adds nodes, as the session does; one part of a step begins before and another one after."""
        self._clock(self._parts[0])
        logits = self.session.extend(ids, parents)
        self._clock(REPLACED)
        logits.copy_(self._logits)
        self._clock(self._parts[1])
        return logits

    def commit(self, path: Tensor) -> None:
        """Keeps nodes, as the session does."""
        self.session.commit(path)
        if self._together:
            self._together.commit(path)


def logits_with_overlap(overlap: float, vocabulary: int) -> tuple[Tensor, Tensor]:
    """Logits of a target and a draft whose distributions have `overlap` in common: each favours another half of ids."""
    half = 3 * torch.randn(vocabulary // 2, generator=torch.Generator().manual_seed(0))
    lead = torch.tensor(2 / overlap - 1).log()  # a half has 1 - overlap / 2 in one, and overlap / 2 in the other
    return torch.cat([half + lead, half]), torch.cat([half, half + lead])


class Setup(NamedTuple):
    """The parts of a decoding step."""

    target: LlamaTransformer
    draft: LlamaTransformer
    drafter: Drafter
    rule: Any
    """Of `crt_verify.kernels`."""
    overlap: float
    """Of the two fixed distributions."""


class Steps:
    """Decoding of a batch, a step at a time, with every part timed."""

    def __init__(self, setup: Setup, prompt: Tensor, clock: Clock, *, steps: int, together: bool) -> None:
        self.clock, self._rule, self._growth = clock, setup.rule, setup.drafter.build()
        rows, nodes = len(prompt), setup.drafter.nodes
        capacity = prompt.shape[1] + steps * (1 + len(self._growth.widths))

        def opened(prior: LlamaTransformer, logits: Tensor, room: int, *parts: str) -> FixedLogits:
            shelves = Together(prior, rows, 1 + capacity + room) if together else None
            session = CachedSession(shelves or prior, prompt, None, capacity=capacity, room=room)
            return FixedLogits(session, logits.to(session.next_logits), shelves, clock, *parts)

        target, draft = logits_with_overlap(setup.overlap, setup.target.vocabulary)
        self.target = opened(setup.target, target, nodes, "target forward", "verification")
        self.draft = opened(setup.draft, draft, 1 + nodes, "draft forward", "sampling")
        self.last = torch.zeros_like(prompt[:, 0])
        self.drafting = DraftSession(self.draft, self.last, Sampling())
        self._rows = draft.to(self.target.next_logits).expand(rows, nodes, -1).contiguous()  # b m v
        self._generator = torch.Generator(prompt.device).manual_seed(0)

    @torch.no_grad()
    def step(self) -> tuple[Verdict, Tensor]:
        """The verdict on a tree, and the drafted ids that were accepted."""
        self.clock("sampling")
        nodes = self._rows.shape[1]
        uniforms, accept, final = map(self._uniforms, (2**32, 2**24, 2**32), (sum(self._growth.uniforms), nodes, nodes))
        depths = torch.full_like(self.last, len(self._growth.widths))
        trees, _, places = self._growth.propose(self.drafting, depths, uniforms)
        ids = torch.cat([self.last[:, None], trees.tokens[:, 1:]], 1)  # b m
        parents = torch.cat([trees.parents[:, :1], trees.parents[:, 1:].clamp(min=0)], 1)
        logits = self.target.extend(ids, parents)
        verdict = self._rule.from_logits(trees, logits, self._rows, accept, final, sampling=Sampling())
        self.clock("commit")
        self.target.commit(torch.nn.functional.pad(verdict.path, (1, 0)))  # the root is kept too
        self.clock("draft commit")
        there, at = verdict.path >= 0, verdict.path.clamp(min=0)
        accepted = torch.where(there, trees.tokens.gather(1, at), -1)
        self.last = verdict.final
        self.drafting.keep(torch.where(there, places.gather(1, at), -1), accepted, self.last, self.last >= 0)
        self.clock(END)
        return verdict, accepted

    def _uniforms(self, top: int, count: int) -> Tensor:
        return torch.randint(top, (len(self.last), count), generator=self._generator, device=self.last.device)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--pair", nargs="+", choices=list(PAIRS), default=["7B", "135M"])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--cached", type=int, default=1024)
    parser.add_argument("--overlap", type=float, default=0.7)
    arguments = parser.parse_args()
    here()
    rows: list[dict[str, Any]] = []
    for name in arguments.pair:
        target, draft = built(PAIRS[name])
        for size in arguments.batch:
            for shape, (drafter, rule) in DRAFTERS.items():
                setup = Setup(target, draft, drafter, here().rule(rule), arguments.overlap)
                for together in (True, False):
                    prompt = torch.randint(PAIRS[name].vocabulary, (size, arguments.cached), device=here().device)
                    measurements = fitting(setup, prompt, arguments.rounds, together=together)
                    rows.append({"pair": name, "batch": size, "tree": shape, "one launch": together, **measurements})
                    print(rows[-1], flush=True)
                    keep("end_to_end", {**vars(arguments), "microseconds": rows})
                    here().finish()
        del target, draft, setup
        here().finish()
    shares = {
        name: max(
            (row["share"] for row in rows if row["pair"] == name and row["one launch"] and "share" in row), default=None
        )
        for name in arguments.pair
    }
    listed = ", ".join(f"{name} {'not run' if share is None else f'{share:.1%}'}" for name, share in shares.items())
    print(f"{len(rows)} rows; share of verification and commits in a step, at most (goal for 7B: 2 %): {listed}")


def built(pair: Pair) -> tuple[LlamaTransformer, LlamaTransformer]:
    """The two networks, with random weights; torch's own attention, whatever else is installed."""
    with torch.device(here().device):
        target, draft = (
            LlamaTransformer(shape, pair.vocabulary, None, start=1, attention="sdpa").bfloat16()
            for shape in (pair.target, pair.draft)
        )
        target.reset_parameters()
        draft.reset_parameters()
    return target, draft


def fitting(setup: Setup, prompt: Tensor, rounds: int, *, together: bool) -> dict[str, Any]:
    """As `measured`, or a message if memory does not suffice."""
    try:
        return measured(setup, prompt, rounds, together=together)
    except torch.OutOfMemoryError as problem:
        return {"not run": str(problem).split(". ")[0]}


def measured(setup: Setup, prompt: Tensor, rounds: int, *, together: bool) -> dict[str, Any]:
    """Ids of a step, microseconds of its parts, and the share of verification and commits."""
    clock = Clock(here().mark, here().between)
    steps = Steps(setup, prompt, clock, steps=WARM + rounds, together=together)
    verdicts = [steps.step()[0] for _ in range(WARM + rounds)]
    here().finish()
    for verdict in verdicts:
        check(verdict)
    ids = 1 + torch.stack([verdict.length for verdict in verdicts]).double().mean().item()
    return {"ids": ids, **summary(clock.spent()[WARM:])}


def summary(steps: list[dict[str, float]]) -> dict[str, Any]:
    """Medians over steps, and the share of verification and commits in a step, without the replacement of logits."""
    parts = {part: statistics.median(step[part] for step in steps) for part in steps[0]}
    share = parts["verification"] + parts["commit"] + parts["draft commit"]
    return {"parts": parts, "share": share / (sum(parts.values()) - parts[REPLACED])}


if __name__ == "__main__":
    main()
