"""A prior whose logits pass through processors, each with the whole path of its node; every decoder stays exact.

Axes: b batch, n ids of a sample, t new nodes, k committed nodes, v vocabulary. Id -1 means absent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crtcore.kinds import Prior, Session
from crtcore.noise import Noise

Process: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Takes paths (m n), all of one length, and the logits after each (m v); returns their logits.

What it returns for a path depends on nothing else, as a node is read once or several times, in any company.
"""
Follow: TypeAlias = Callable[[int, Sequence[int]], None]
"""Is called with a row and the ids that it has just committed."""


class Processed:
    """The distribution of a prior after processors, which `processes` has for each row, or one for all.

    `before` has ids for each row that processors see in front of its own, such as padding. The logits after no id at
    all are left as they are, as processors of transformers read at least one. A draft's are left so too where its
    processes exclude all of its ids, as a grammar may that asks for an id which it lacks: it is exact whatever it draws
    from.
    """

    def __init__(
        self, prior: Prior, processes: Sequence[Process | None], *, before: Sequence[Sequence[int]] | None = None,
        follow: Follow | None = None, drafts: bool = False,
    ) -> None:  # fmt: skip
        self.prior = prior
        self.vocabulary = prior.vocabulary
        self.longest: int | None = getattr(prior, "longest", None)
        self._processes, self._before, self._follow, self._drafts = processes, before, follow, drafts

    def __call__(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 v"]:
        """Logits after each part of a row, from its front."""
        logits = self.prior(ids, class_ids, noise=noise)
        paths = [[row[:place] for place in range(len(row) + 1)] for row in ids.tolist()]
        return self.process(logits, [[path if -1 not in path else None for path in row] for row in paths])

    def open(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> ProcessedSession:
        """A session of the prior, whose logits are processed.

        Raises: ValueError as the prior does.
        """
        session = self.prior.open(ids, class_ids, capacity=capacity, room=room)
        return ProcessedSession(self, session, ids, self._follow)

    def process(
        self, logits: Float[Tensor, "b t v"], paths: Sequence[Sequence[list[int] | None]]
    ) -> Float[Tensor, "b t v"]:
        """Processes the logits after paths, in float32 at least; where a path is None, they are left as they are.

        Raises: ValueError if there are neither as many processes as rows, nor one.
        """
        if len(self._processes) not in (1, len(paths)):
            raise ValueError(f"expected processes for {len(paths)} rows, or one, got {len(self._processes)}")
        result = logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        for row, own in enumerate(paths):
            process = self._processes[row if len(self._processes) > 1 else 0]
            if process is None:
                continue
            before = list(self._before[row]) if self._before else []
            by_length: defaultdict[int, list[int]] = defaultdict(list)
            for column, path in enumerate(own):
                if path is not None and before + path:
                    by_length[len(path)].append(column)
            for columns in by_length.values():
                ids = torch.tensor([[*before, *(own[column] or ())] for column in columns], device=logits.device)
                if result is logits:
                    result = logits.clone()
                own_logits = logits[row, columns]
                processed = process(ids, own_logits).to(logits.dtype)
                if self._drafts:
                    excluded = (processed == -torch.inf).all(-1, keepdim=True)
                    processed = torch.where(excluded, own_logits, processed)
                result[row, columns] = processed
        return result


class ProcessedSession:
    """A session that knows the path of each of its nodes; values are read on the host."""

    next_logits: Float[Tensor, "b v"]

    def __init__(self, prior: Processed, session: Session, ids: Int[Tensor, "b n"], follow: Follow | None) -> None:
        self._prior, self._session, self._follow = prior, session, follow
        self._committed = [[x for x in row if x >= 0] for row in ids.tolist()]
        self._reset()

    def _reset(self) -> None:
        """Starts again without tentative nodes."""
        self._paths: list[list[list[int]]] = [[] for _ in self._committed]
        """Of each row's nodes, the ids behind what is committed."""
        logits = self._session.next_logits[:, None]
        self.next_logits = self._prior.process(logits, [[path] for path in self._committed])[:, 0]

    def extend(self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t v"]:
        """Adds tentative nodes and returns the processed logits after each.

        Raises: ValueError as the session does.
        """
        logits = self._session.extend(ids, parents)
        first = len(self._paths[0]) if self._paths else 0
        chain = list(range(first - 1, first - 1 + ids.shape[1]))
        above = [chain] * len(ids) if parents is None else parents.tolist()
        paths: list[list[list[int] | None]] = [[] for _ in self._paths]
        for row, own in enumerate(ids.tolist()):
            known = self._paths[row]
            for x, parent in zip(own, above[row], strict=True):
                path = known[parent] if parent >= 0 else []
                known.append([*path, x] if x >= 0 else path)
                paths[row].append([*self._committed[row], *known[-1]] if x >= 0 else None)
        return self._prior.process(logits, paths)

    def commit(self, path: Int[Tensor, "b k"]) -> None:
        """Commits columns of a path, and drops every other tentative node.

        Raises: ValueError as the session does.
        """
        self._session.commit(path)
        for row, columns in enumerate(path.tolist()):
            kept = [column for column in columns if column >= 0]
            new = self._paths[row][kept[-1]] if kept else []
            self._committed[row] += new
            if new and self._follow is not None:
                self._follow(row, new)
        self._reset()
