"""A prior whose calls are counted."""

from __future__ import annotations

from torch import Tensor

from crt_basics.priors.table import TablePrior
from crtcore.kinds import Session


class Counted:
    """A prior that counts the calls of its sessions, the one that opens them included."""

    def __init__(self, prior: TablePrior) -> None:
        self.prior, self.vocabulary, self.calls = prior, prior.vocabulary, 0

    def __call__(self, ids: Tensor, class_ids: Tensor | None = None) -> Tensor:
        return self.prior(ids, class_ids)

    def open(self, ids: Tensor, class_ids: Tensor | None = None, *, capacity: int, room: int) -> Session:
        self.calls += 1
        self.session = self.prior.open(ids, class_ids, capacity=capacity, room=room)
        self.next_logits = self.session.next_logits
        return self

    def extend(self, ids: Tensor, parents: Tensor | None = None) -> Tensor:
        self.calls += 1
        return self.session.extend(ids, parents)

    def commit(self, path: Tensor) -> None:
        self.session.commit(path)
        self.next_logits = self.session.next_logits
