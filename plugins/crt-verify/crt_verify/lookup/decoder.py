"""Decoding with drafts from texts: each id is drawn as by `ancestral`, many of them from one target call.

Axes: b batch, n ids of a row, m nodes (the root counted), v vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_run.decoding import CheckedSession, check_request, inferring
from crt_run.sampling import pick, probabilities
from crt_verify import enumeration
from crt_verify.lookup import automaton
from crt_verify.lookup.corpus import read_corpus
from crt_verify.lookup.drafting import Drafting
from crt_verify.lookup.drafts import Drafts
from crt_verify.lookup.growth import Node
from crt_verify.lookup.shape import Shaping
from crt_verify.lookup.spec import Lookup, Suffix
from crt_verify.lookup.step_cost import StepCost, step_cost
from crt_verify.lookup.suffixes import SuffixDrafting
from crtcore import Limits, Noise
from crtcore.kinds import Generation, Prior, Request

Measure: TypeAlias = Callable[[Prior, int, int, torch.device], StepCost]
"""Of a prior, for rows, nodes at most, and a device."""
ROOT = Node((), -1, 1.0)
"""The tree that proposes nothing."""


class TextDecoder:
    """Draws the ids of `ancestral`, with fewer calls of the target where drafts from texts come true."""

    def __init__(
        self, spec: Lookup | Suffix, drafts: Callable[[Sequence[int]], Drafts], *, largest: int = -1,
        measure: Measure = step_cost,
    ) -> None:  # fmt: skip
        """`drafts` takes the ids of a row's prompt; drafted ids are at most `largest`, or come from the row itself.

        `measure` returns what a step of a prior costs, and is asked where the shape of a round follows the cost.
        """
        self.spec, self.drafts, self.largest = spec, drafts, largest
        self._measure = measure

    @inferring
    def generate(self, target: Prior, request: Request, *, draft: Prior | None = None) -> Generation:
        """Ids after `prompt`; a draft, if any, is not used.

        Raises: ValueError if the request does not fit the target, PriorError if the target returns no distribution.
        """
        self._check(target, request)
        shaping = self._shaping(target, request)  # may measure a step, which is no time of this request
        began = time.perf_counter()
        rows = [self._row(request, row) for row in range(len(request.prompt))]
        length = request.limits.length
        capacity = request.prompt.shape[1] + length - 1
        if length and rows:
            room = 1 + self.spec.nodes
            session = CheckedSession(target, "target", request.prompt, request.class_ids, capacity=capacity, room=room)
            draws = _Draws(session, request)
            draws.walk(rows, [[ROOT]] * len(rows), session.next_logits[:, None])
            going = draws.going(rows)
            while any(row.active for row in going):
                trees = shaping.trees([row.drafts if row.active else None for row in going], self._depths(going))
                ids, parents = _columns(going, trees, request.prompt)
                logits = session.extend(ids, parents)
                session.commit(draws.walk(going, trees, logits))
                going = draws.going(going)
            session.check()
        return _generation(rows, request, shaping, time.perf_counter() - began)

    def _check(self, target: Prior, request: Request) -> None:
        check_request(request, target)
        if self.largest >= target.vocabulary:
            raise ValueError(f"expected a corpus of ids below {target.vocabulary}, the target's, got {self.largest}")

    def _row(self, request: Request, row: int) -> _Row:
        return _Row(request.limits, self.drafts([x for x in request.prompt[row].tolist() if x >= 0]))

    def _depths(self, rows: Sequence[_Row]) -> list[int]:
        """Ids of a path at most: none is deeper than can be used."""
        return [min(self.spec.depth, row.limits.length - row.count - 1) for row in rows]

    def _shaping(self, target: Prior, request: Request) -> Shaping:
        cost = None
        if self.spec.shape == "cost" and len(request.prompt) and request.limits.length:
            cost = self._measure(target, len(request.prompt), 1 + self.spec.nodes, request.prompt.device)
        return Shaping(self.spec.nodes, cost)

    @torch.no_grad()
    def distribution(
        self, target: Prior, request: Request, *, draft: Prior | None = None
    ) -> dict[tuple[int, ...], float]:
        """The exact distribution of the emitted row, over every id that each node of each draft can be followed by.

        Raises: ValueError or PriorError as `generate` does, or if there are too many rows to enumerate.
        """
        self._check(target, request)
        limits = request.limits
        if target.vocabulary**limits.length > enumeration.ROWS:
            raise ValueError(f"expected at most {enumeration.ROWS} rows, got {target.vocabulary}**{limits.length}")
        p = enumeration.rows_of(target, "target", request.prompt, request.sampling, request.class_ids)
        ended: dict[tuple[int, ...], float] = {}
        going: dict[tuple[int, ...], float] = {(): 1.0}
        shaping = self._shaping(target, request)
        while going:
            grown: dict[tuple[int, ...], float] = {}
            for row, weight in going.items():
                if (read := self._read(request, row, shaping)) is None:
                    ended[row] = weight
                else:
                    grown |= {(*row, x): weight * chance for x, chance in enumerate(p(read).tolist()) if chance > 0}
            going = grown
        return ended

    def _read(self, request: Request, drawn: Sequence[int], shaping: Shaping) -> tuple[int, ...] | None:
        """The ids behind the prompt after which the target's row is read once these are drawn; None: the row ended."""
        row, at = self._row(request, 0), 0
        start: tuple[int, ...] = ()
        tree: Sequence[Node] = [ROOT]
        row.begin(tree)
        for x in drawn:
            if (child := row.draw(x, at)) is not None:
                at = child
            elif row.active:
                start, at = tuple(row.ids), 0
                (tree,) = shaping.trees([row.drafts], self._depths([row]))
                row.begin(tree)
        return (*start, *tree[at].path) if row.active else None


class _Draws:
    """Draws from the logits of a session, by the uniforms of `ancestral`: they depend on seed and position alone."""

    def __init__(self, session: CheckedSession, request: Request) -> None:
        self.session, self.request = session, request
        start = (request.prompt >= 0).sum(-1)
        places = start[:, None] + torch.arange(request.limits.length, device=start.device)
        self.uniforms = Noise(request.row_seeds[:, None], "ancestral").bits(places)  # b n

    def going(self, rows: list[_Row]) -> list[_Row]:
        """The rows that go on, where the session can leave out the others; else all."""
        kept = [index for index, row in enumerate(rows) if row.active]
        if not self.session.narrows or not kept or len(kept) == len(rows):
            return rows
        index = torch.tensor(kept, device=self.uniforms.device)
        self.session.narrow(index)
        self.uniforms = self.uniforms[index]
        return [rows[each] for each in kept]

    def walk(
        self, rows: Sequence[_Row], trees: Sequence[Sequence[Node]], logits: Float[Tensor, "b m v"]
    ) -> Int[Tensor, "b k"]:
        """Draws ids down the trees of active rows as far as they were drafted, and returns the columns walked.

        Raises: PriorError if logits that are read have no finite maximum.
        """
        walking = [row for row in range(len(rows)) if rows[row].active]
        for row in walking:
            rows[row].begin(trees[row])
        paths: list[list[int]] = [[0] if row.active else [] for row in rows]
        while walking:
            here = logits[walking, [paths[row][-1] for row in walking]]
            drawn = probabilities(here, self.request.sampling)
            broken = drawn[:, 0].isnan()  # a distribution is NaN in all places, or in none
            if broken.any():
                wrong = torch.zeros(len(rows), dtype=torch.bool, device=drawn.device)
                self.session.record(wrong.index_fill(0, broken.nonzero()[:, 0].new_tensor(walking)[broken], True))
                self.session.check()
            ids = pick(drawn, self.uniforms[walking, [rows[row].count for row in walking]]).tolist()
            further = []
            for row, x in zip(walking, ids, strict=True):
                if (child := rows[row].draw(x, paths[row][-1])) is not None:
                    paths[row].append(child)
                    further.append(row)
            walking = further
        widest = max(map(len, paths))
        return self.request.prompt.new_tensor([[*path, *[-1] * (widest - len(path))] for path in paths])


class _Row:
    """One row as it is decoded, on the host."""

    def __init__(self, limits: Limits, drafts: Drafts) -> None:
        self.limits, self.drafts = limits, drafts
        self.ids: list[int] = []
        self.accepted: list[int] = []
        self.proposed = 0
        self.active = self.limits.length > 0
        self._children: dict[tuple[int, int], int] = {}
        self._new: list[int] = []

    @property
    def count(self) -> int:
        """Ids emitted so far, those of this round included."""
        return len(self.ids)

    def begin(self, tree: Sequence[Node]) -> None:
        """Starts a round."""
        self._children = {(node.parent, node.path[-1]): index for index, node in enumerate(tree) if index}
        self._new = []
        self.proposed += len(tree) - 1

    def draw(self, x: int, at: int) -> int | None:
        """Emits an id after node `at`, and returns the node that drafted it; None: the round is over."""
        self.ids.append(x)
        self._new.append(x)
        child = self._children.get((at, x))
        self.active = x not in self.limits.stop and len(self.ids) < self.limits.length
        if child is not None and self.active:
            return child
        self.accepted.append(len(self._new) - (child is None))
        self.drafts.observe(self._new)
        return None


def _columns(
    rows: Sequence[_Row], trees: Sequence[Sequence[Node]], like: Tensor
) -> tuple[Int[Tensor, "b m"], Int[Tensor, "b m"]]:
    """Ids and parents of the nodes: the last emitted id is the root, column 0."""
    widest = max(map(len, trees))
    ids, parents = [], []
    for row, tree in zip(rows, trees, strict=True):
        pad = [-1] * (widest - len(tree))
        ids.append([row.ids[-1], *(node.path[-1] for node in tree[1:]), *pad] if tree else pad)
        parents.append([*(node.parent for node in tree), *([0] * len(pad) if tree else [-1] * len(pad))])
    return like.new_tensor(ids), like.new_tensor(parents)


def _generation(rows: Sequence[_Row], request: Request, shaping: Shaping, seconds: float) -> Generation:
    """What the decoder returns."""
    like, length = request.prompt, request.limits.length
    calls = max((len(row.accepted) for row in rows), default=0)

    def padded(lists: Sequence[list[int]], width: int) -> Tensor:
        return like.new_tensor([[*each, *[-1] * (width - len(each))] for each in lists]).reshape(len(lists), width)

    return Generation(
        ids=padded([row.ids for row in rows], length),
        accepted=padded([row.accepted for row in rows], calls),
        target_calls=like.new_tensor([len(row.accepted) for row in rows]),
        draft_calls=like.new_zeros(len(rows)),
        proposed=like.new_tensor([row.proposed for row in rows]),
        seconds=seconds,
        notes=shaping.notes(),
    )


def lookup_decoder(spec: Lookup) -> TextDecoder:
    """The decoder of a spec."""
    return TextDecoder(spec, Drafting)


def suffix_decoder(spec: Suffix) -> TextDecoder:
    """The decoder of a spec, whose corpus it reads.

    Raises: RunError if the corpus cannot be read.
    """
    earlier = read_corpus(Path(spec.corpus)) if spec.corpus else None
    largest = max(earlier.following[automaton.ROOT], default=-1) if earlier else -1
    return TextDecoder(spec, lambda ids: SuffixDrafting(ids, earlier), largest=largest)
