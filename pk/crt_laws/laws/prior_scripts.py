"""What the laws of priors do to a session, and the full passes that its logits are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from crt_basics.priors.saved import EXAMPLE
from crt_laws.checks import near
from crt_laws.kit import Check
from crtcore.kinds.prior import Prior

VOCABULARY, LENGTH, CLASSES = EXAMPLE


def agree(actual: Tensor, expected: Tensor) -> Check:
    """Checks logits up to rounding: 1e-9 in float64, 1e-4 in float32, 6e-2 in bfloat16."""
    return near(actual, expected, "two ways to the same logits", torch.finfo(expected.dtype).eps ** 0.575)


class Blind(TorchDispatchMode):
    """Records the operations within it that read a scalar on the host, or make a shape that depends on values."""

    _READS = frozenset({"_local_scalar_dense", "equal", "masked_select", "nonzero", "_unique2", "unique_dim"})

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.reads: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Runs an operation."""
        name = func.overloadpacket.__name__
        if name in self._READS:
            self.reads.add(name)
        return func(*args, **(kwargs or {}))


class Draw:
    """Random ids, class ids, trees and paths, all from one seed."""

    def __init__(self, seed: int, batch: int) -> None:
        self.batch = batch
        self._generator = torch.Generator().manual_seed(seed)

    def below(self, high: int, *shape: int) -> Tensor:
        """Integers from 0 to `high` - 1."""
        return torch.randint(high, shape, generator=self._generator)

    def ids(self, width: int) -> Tensor:
        """Rows of ids, none absent."""
        return self.below(VOCABULARY, self.batch, width)

    def ragged(self, width: int) -> Tensor:
        """Rows of ids, absent from a random place on."""
        return self.ids(width).where(torch.arange(width) < self.below(width + 1, self.batch, 1), -1)

    def class_ids(self) -> Tensor:
        """A class for each row, or -1."""
        return self.below(CLASSES + 1, self.batch) - 1

    def chain(self, first: int, width: int) -> Tensor:
        """Parents of new nodes: a chain below one of the `first` columns before it, or below the committed ids."""
        parents = torch.arange(first - 1, first + width - 1).repeat(self.batch, 1)
        parents[:, 0] = self.below(first + 1, self.batch) - 1
        return parents

    def tree(self, first: int, width: int) -> Tensor:
        """Parents of new nodes: for each any column before it, or the committed ids."""
        return torch.stack([self.below(column + 1, self.batch) - 1 for column in range(first, first + width)], 1)

    def path(self, parents: Tensor, width: int) -> Tensor:
        """A path from the root of each row's tree, of at most `width` columns, sometimes of none."""
        rows = []
        for row in parents.tolist():
            node, path = int(self.below(len(row) + 1)) - 1, list[int]()
            while node >= 0:
                path, node = [node, *path], row[node]
            rows.append((path + [-1] * width)[:width])
        return torch.tensor(rows)

    def replay(self, prior: Prior, prompt: int) -> Replay:
        """A session after ragged prompts of at most `prompt` ids."""
        return Replay(prior, self.ragged(prompt), self.class_ids())


class Replay:
    """A session, and the whole sequence of each of its nodes, which a full pass scores."""

    def __init__(self, prior: Prior, prompt: Tensor, class_ids: Tensor) -> None:
        self.prior = prior
        self.class_ids = class_ids
        self.session = prior.open(prompt, class_ids, capacity=LENGTH, room=LENGTH)
        self.committed = [[id_ for id_ in row if id_ >= 0] for row in prompt.tolist()]
        self._start()

    def _start(self) -> None:
        self.paths: list[list[list[int]]] = [[] for _ in self.committed]
        """Of each row's tentative nodes: the ids after the committed ones, up to the node."""
        self.parents = torch.empty(len(self.committed), 0, dtype=torch.int64)

    def _truth(self, row: int, path: list[int]) -> Tensor:
        ids = torch.tensor([self.committed[row] + path], dtype=torch.int64)
        return self.prior(ids, self.class_ids[row : row + 1])[0, -1]

    def extend(self, ids: Tensor, parents: Tensor | None = None) -> list[Check]:
        """Extends the session; the checks of the logits after every node that is present."""
        logits = self.session.extend(ids, parents)
        first = self.parents.shape[1]
        if parents is None:
            parents = torch.arange(first - 1, first + ids.shape[1] - 1).repeat(len(ids), 1)
        self.parents = torch.cat((self.parents, parents), 1)
        checks = []
        for row, paths in enumerate(self.paths):
            for column, (id_, parent) in enumerate(zip(ids[row].tolist(), parents[row].tolist(), strict=True)):
                above = paths[parent] if parent >= 0 else []
                paths.append([*above, id_] if id_ >= 0 else above)
                if id_ >= 0:
                    checks.append(agree(logits[row, column], self._truth(row, paths[-1])))
        return checks

    def commit(self, path: Tensor) -> None:
        """Commits paths; the last column of a path holds all ids that the row gains."""
        self.session.commit(path)
        for row, columns in enumerate(path.tolist()):
            kept = [column for column in columns if column >= 0]
            self.committed[row] = self.committed[row] + (self.paths[row][kept[-1]] if kept else [])
        self._start()

    def next_logits(self) -> list[Check]:
        """The checks of the next logits of every row."""
        return [agree(logits, self._truth(row, [])) for row, logits in enumerate(self.session.next_logits)]
