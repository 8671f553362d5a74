"""A draft's session that lags the emitted ids by one or two a row.

Axes: b batch, w nodes of a level, k accepted nodes, v vocabulary. Nodes go by their place in the growth: 0 the root,
then level by level, absent ones included.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from crtcore import Sampling, probabilities
from crtcore.kinds import Session


class Drafting:
    """Gives the laws after nodes; `keep` tells it what became of them.

    A round begins with two columns for the late ids, the second one absent where one id is late. An absent node stands
    for its parent, so that column 1 is the root in either case, and node n is column n + 1. What follows the nodes of
    the last level is the target's to say: they are never extended, and an accepted one is late in the next round.
    """

    def __init__(self, session: Session, last: Int[Tensor, " b"], sampling: Sampling) -> None:
        self.session = session
        self.sampling = sampling
        self.late = torch.stack([last, torch.full_like(last, -1)], 1)  # b 2: emitted, not yet given to the draft
        self.extended = 0

    def root(self) -> Float[Tensor, "b 1 v"]:
        """The law after all that has been emitted."""
        logits = self.session.extend(self.late)  # b 2 v
        both = (self.late[:, 1:] >= 0).long()
        logits = logits.gather(1, both[..., None].expand(-1, -1, logits.shape[-1]))
        self.extended = 1
        return probabilities(logits, self.sampling)

    def extend(self, ids: Int[Tensor, "b w"], parents: Int[Tensor, "b w"]) -> Float[Tensor, "b w v"]:
        """The laws after the nodes of a level."""
        self.extended += ids.shape[1]
        return probabilities(self.session.extend(ids, parents + 1), self.sampling)

    def keep(
        self, nodes: Int[Tensor, "b k"], ids: Int[Tensor, "b k"], last: Int[Tensor, " b"], drawing: Bool[Tensor, " b"]
    ) -> None:
        """Commits the accepted nodes that were extended; `last` is the id emitted after them.

        Rows that have ended stay as they are.
        """
        nodes, ids = (torch.nn.functional.pad(given, (0, 1), value=-1) for given in (nodes, ids))
        known = (nodes >= 0) & (nodes < self.extended)
        both = (self.late[:, 1:] >= 0) & drawing[:, None]  # b 1
        path = torch.where(known & drawing[:, None], nodes + 1, -1)  # its last column is absent
        begun = torch.where(drawing, 0, -1)[:, None]
        alone = torch.cat([begun, path], 1)
        self.session.commit(torch.where(both, torch.cat([begun, begun + 1, path[:, :-1]], 1), alone))
        beyond = torch.where((nodes >= 0) & ~known, ids, -1).amax(-1)  # the accepted node of the last level, if any
        last = torch.where(drawing, last, -1)
        late = torch.stack([beyond, last], 1)
        self.late = torch.where(
            (drawing & (beyond >= 0))[:, None], late, torch.stack([last, -torch.ones_like(last)], 1)
        )
