"""A decoding step whose parts are timed, with logits of a chosen overlap and keys committed in one launch or by layer.

Axes: b batch, t new nodes, m nodes of a tree (the root counted), s slots, g heads of keys, d head width, v vocabulary.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from crt_ar.llama.network import LlamaTransformer
from crt_nn.context import AttentionContext
from crt_nn.session import CachedSession
from crt_verify.drafters import Drafter
from crt_verify.drafters.draft_session import DraftSession
from crt_verify.kernels.commit import commit
from crt_verify.verdict import Verdict
from crtcore import Sampling
from crtcore.kinds import Session

REPLACED = "replacement"
"""The part of a step that only this bench has."""
END = "end"


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
        each = (rows, slots, 2 * shape.key_heads, shape.width // shape.heads)  # keys and values
        self._kept = prior.embedding.weight.new_zeros(shape.layers, *each)
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
        kept = self._kept[self._layers.setdefault(layer, len(self._layers))]  # b s 2g d
        (part,) = new
        stop = self._offset + part.shape[1]
        kept[:, self._offset : stop] = part
        return (kept[:, :stop],)

    def commit(self, path: Tensor) -> None:
        """Keeps the nodes of a path; node 0 is there in every row, and absent ones come last."""
        assert self._first is not None
        shelves, (bound, counts) = self._kept.flatten(0, 1), self._first
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
