"""A draft's session that lags behind the emitted ids by one or two a row.

Axes: b batch, w nodes of a level, k accepted nodes, v vocabulary. Nodes are numbered as the tree builder places them: 0
the root, then level by level, absent nodes included.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from crt_run.sampling import probabilities
from crtcore import Sampling
from crtcore.kinds import Session


class DraftSession:
    """Returns the draft's distributions after nodes; `keep` commits the accepted ones.

    A round starts with two columns of late ids; the second is absent where one id is late. An absent node stands for
    its parent, so column 1 is the root in either case, and node n is column n + 1. The nodes of the last level are
    never extended: the target alone gives what follows them, and an accepted one is late in the next round.
    """

    def __init__(self, session: Session, last: Int[Tensor, " b"], sampling: Sampling) -> None:
        self.session = session
        self.sampling = sampling
        self.late = torch.stack([last, torch.full_like(last, -1)], 1)  # b 2: emitted, but not yet in the session
        self.extended = 0
        self.broken = torch.zeros_like(last, dtype=torch.bool)
        """Rows that ids were drawn for, at some node, without a distribution to draw them from."""

    def root(self, read: Bool[Tensor, "b 1"]) -> Float[Tensor, "b 1 v"]:
        """The distribution after all emitted ids; `read` marks the rows that it is drawn from."""
        logits = self.session.extend(self.late)  # b 2 v
        both = (self.late[:, 1:] >= 0).long()
        logits = logits.gather(1, both[..., None].expand(-1, -1, logits.shape[-1]))
        self.extended = 1
        return self._distributions(logits, read)

    def extend(
        self, ids: Int[Tensor, "b w"], parents: Int[Tensor, "b w"], read: Bool[Tensor, "b w"]
    ) -> Float[Tensor, "b w v"]:
        """The distributions after the nodes of a level; `read` marks those that are drawn from."""
        self.extended += ids.shape[1]
        return self._distributions(self.session.extend(ids, parents + 1), read)

    def _distributions(self, logits: Float[Tensor, "b w v"], read: Bool[Tensor, "b w"]) -> Float[Tensor, "b w v"]:
        distributions = probabilities(logits, self.sampling)
        self.broken = self.broken | (distributions[..., 0].isnan() & read).any(-1)  # NaN in all places, or in none
        return distributions

    def keep(
        self, nodes: Int[Tensor, "b k"], ids: Int[Tensor, "b k"], last: Int[Tensor, " b"], active: Bool[Tensor, " b"]
    ) -> None:
        """Commits the accepted nodes that were extended; `last` is the id emitted after them.

        Rows that are not active do not change.
        """
        nodes, ids = (torch.nn.functional.pad(field, (0, 1), value=-1) for field in (nodes, ids))
        known = (nodes >= 0) & (nodes < self.extended)
        both = (self.late[:, 1:] >= 0) & active[:, None]  # b 1
        path = torch.where(known & active[:, None], nodes + 1, -1)  # its last column is absent
        first = torch.where(active, 0, -1)[:, None]
        alone = torch.cat([first, path], 1)
        self.session.commit(torch.where(both, torch.cat([first, first + 1, path[:, :-1]], 1), alone))
        beyond = torch.where((nodes >= 0) & ~known, ids, -1).amax(-1)  # the accepted node of the last level, if any
        last = torch.where(active, last, -1)
        late = torch.stack([beyond, last], 1)
        self.late = torch.where((active & (beyond >= 0))[:, None], late, torch.stack([last, -torch.ones_like(last)], 1))
