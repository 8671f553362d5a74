"""What the laws of priors do to a session, and the independent account they check it against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from crtcore.kinds.prior import EXAMPLE, Prior

VOCABULARY, LENGTH, CLASSES = EXAMPLE


def agree(actual: Tensor, expected: Tensor) -> None:
    """Equal up to rounding: 1e-9 in float64, 1e-4 in float32, 6e-2 in bfloat16; -inf equals -inf, NaN nothing."""
    tolerance = torch.finfo(expected.dtype).eps ** 0.575
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


class Blind(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Within it, reading a scalar on the host or a shape that depends on values is an error."""

    _READS = frozenset({"_local_scalar_dense", "equal", "masked_select", "nonzero", "_unique2", "unique_dim"})

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Runs any other operation."""
        assert func.overloadpacket.__name__ not in self._READS, f"{func} reads values on the host"
        return func(*args, **(kwargs or {}))


class Draw:
    """Random ids, conditions, trees and paths, all from one seed."""

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

    def condition(self) -> Tensor:
        """A class for each row, or -1."""
        return self.below(CLASSES + 1, self.batch) - 1

    def chain(self, first: int, width: int) -> Tensor:
        """Parents of new nodes: a chain that hangs on any of the `first` columns before it, or on the tip."""
        parents = torch.arange(first - 1, first + width - 1).repeat(self.batch, 1)
        parents[:, 0] = self.below(first + 1, self.batch) - 1
        return parents

    def tree(self, first: int, width: int) -> Tensor:
        """Parents of new nodes: for each any column before it, or the tip."""
        return torch.stack([self.below(column + 1, self.batch) - 1 for column in range(first, first + width)], 1)

    def path(self, parents: Tensor, width: int) -> Tensor:
        """A path from the root down each row's tree, of at most `width` columns, now and then of none."""
        rows = []
        for row in parents.tolist():
            node, path = int(self.below(len(row) + 1)) - 1, list[int]()
            while node >= 0:
                path, node = [node, *path], row[node]
            rows.append((path + [-1] * width)[:width])
        return torch.tensor(rows)

    def replay(self, prior: Prior, prompt: int) -> Replay:
        """A session after ragged prompts of at most `prompt` ids."""
        return Replay(prior, self.ragged(prompt), self.condition())


class Replay:
    """Drives a session and follows it on the host: every node's whole sequence is known, and scored by a full pass."""

    def __init__(self, prior: Prior, prompt: Tensor, condition: Tensor) -> None:
        self.prior = prior
        self.condition = condition
        self.session = prior.open(prompt, condition, capacity=LENGTH, room=LENGTH)
        self.committed = [[id_ for id_ in row if id_ >= 0] for row in prompt.tolist()]
        self._start()

    def _start(self) -> None:
        self.paths: list[list[list[int]]] = [[] for _ in self.committed]
        """Of each row's tentative nodes: the ids from the tip to the node."""
        self.parents = torch.empty(len(self.committed), 0, dtype=torch.int64)

    def _truth(self, row: int, path: list[int]) -> Tensor:
        ids = torch.tensor([self.committed[row] + path], dtype=torch.int64)
        return self.prior(ids, self.condition[row : row + 1])[0, -1]

    def extend(self, ids: Tensor, parents: Tensor | None = None) -> None:
        """Extends the session and checks the logits after every node that is there."""
        logits = self.session.extend(ids, parents)
        first = self.parents.shape[1]
        if parents is None:
            parents = torch.arange(first - 1, first + ids.shape[1] - 1).repeat(len(ids), 1)
        self.parents = torch.cat((self.parents, parents), 1)
        for row, paths in enumerate(self.paths):
            for column, (id_, parent) in enumerate(zip(ids[row].tolist(), parents[row].tolist(), strict=True)):
                above = paths[parent] if parent >= 0 else []
                paths.append([*above, id_] if id_ >= 0 else above)
                if id_ >= 0:
                    agree(logits[row, column], self._truth(row, paths[-1]))

    def commit(self, path: Tensor) -> None:
        """Commits paths; a row's last column tells all that it has gained."""
        self.session.commit(path)
        for row, columns in enumerate(path.tolist()):
            kept = [column for column in columns if column >= 0]
            self.committed[row] = self.committed[row] + (self.paths[row][kept[-1]] if kept else [])
        self._start()

    def check_tip(self) -> None:
        """The tip is the full pass's last row."""
        for row, tip in enumerate(self.session.tip):
            agree(tip, self._truth(row, []))
