"""A session with a fixed logit for each row and id added to another's.

Axes: b batch, t new nodes, k committed positions, v vocabulary.
"""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from crtcore.kinds import Session


class BiasedSession:
    """Another session's logits plus a bias of each row."""

    next_logits: Float[Tensor, "b v"]

    def __init__(self, session: Session, bias: Float[Tensor, "b v"]) -> None:
        self._session, self._bias = session, bias
        self.next_logits = session.next_logits + bias

    def extend(self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t v"]:
        """Adds tentative nodes and returns the logits after each."""
        return self._session.extend(ids, parents) + self._bias[:, None]

    def commit(self, path: Int[Tensor, "b k"]) -> None:
        """Makes the columns of `path` permanent and drops every other tentative node."""
        self._session.commit(path)
        self.next_logits = self._session.next_logits + self._bias
