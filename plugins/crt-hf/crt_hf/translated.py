"""A draft of another vocabulary, over the tokens that both vocabularies have.

The draft's distribution is that of its own logits on the common tokens. A decoder that reads it stays exact, as its
rule holds for every draft; what the draft can never propose costs time alone.
Axes: b batch, n ids of a sample, t new nodes, k committed nodes, v the target's vocabulary, d the draft's.
Source: Timor et al. (2025), arXiv:2502.05202, algorithm 4 (token-level intersection).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crtcore.kinds import Prior, Session
from crtcore.noise import Noise


class Intersection:
    """Which id of the draft each id of the target is: the tokens that both vocabularies spell alike."""

    def __init__(self, target: Mapping[str, int], draft: Mapping[str, int], *, vocabulary: int, unknown: int) -> None:
        """`target` and `draft` are tokens to ids; the target has `vocabulary` ids.

        An id of the target without a twin is read by the draft as `unknown`.
        Raises: ValueError if there is no common token.
        """
        twins = {own: draft[token] for token, own in target.items() if token in draft and own < vocabulary}
        if not twins:
            raise ValueError("expected vocabularies with a common token, got none")
        self.vocabulary = vocabulary
        self.size = len(twins)
        self.own = torch.tensor(sorted(twins))
        """Ids of the target with a twin."""
        self.twins = torch.tensor([twins[x] for x in sorted(twins)])
        """Their ids in the draft."""
        self._read = torch.full((vocabulary + 1,), unknown)
        self._read[self.own] = self.twins
        self._read[-1] = -1  # an absent id stays absent

    def read(self, ids: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
        """Ids of the target as the draft reads them.

        Raises: ValueError if one is out of range, on the CPU.
        """
        if ids.device.type == "cpu" and ids.numel():
            least, most = (int(x) for x in ids.aminmax())
            if least < -1 or most >= self.vocabulary:
                raise ValueError(f"expected ids from 0 to {self.vocabulary - 1}, or -1, got {least} to {most}")
        return self.twin(ids)

    def twin(self, ids: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
        """Ids of the target, which are in range, as the draft reads them."""
        return self._read.to(ids.device)[ids]

    def written(self, logits: Float[Tensor, "*a d"]) -> Float[Tensor, "*a v"]:
        """Logits of the target's ids; -inf where there is no twin.

        Where the draft excludes all common tokens, they are equally likely.
        """
        common = logits[..., self.twins.to(logits.device)]
        common = common.where(common.amax(-1, keepdim=True) != -torch.inf, 0)  # NaN is not equal, and stays
        wide = logits.new_full((*logits.shape[:-1], self.vocabulary), -torch.inf)
        wide[..., self.own.to(logits.device)] = common
        return wide


class Translated:
    """A prior over the target's ids, made of a draft over its own."""

    def __init__(self, draft: Prior, common: Intersection) -> None:
        self.draft, self.common = draft, common
        self.vocabulary = common.vocabulary
        self.longest: int | None = getattr(draft, "longest", None)

    def __call__(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 v"]:
        """Logits after each part of a row, from its front."""
        return self.common.written(self.draft(self.common.read(ids), class_ids, noise=noise))

    def open(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> TranslatedSession:
        """A session of the draft, over the target's ids.

        Raises: ValueError as the draft does.
        """
        session = self.draft.open(self.common.read(ids), class_ids, capacity=capacity, room=room)
        return TranslatedSession(session, self.common)


class TranslatedSession:
    """A session over the target's ids."""

    next_logits: Float[Tensor, "b v"]

    def __init__(self, session: Session, common: Intersection) -> None:
        self._session, self._common = session, common
        self.next_logits = common.written(session.next_logits)

    def extend(self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t v"]:
        """Adds tentative nodes and returns the logits after each.

        Raises: ValueError as the draft's session does.
        """
        return self._common.written(self._session.extend(self._common.read(ids), parents))

    def commit(self, path: Int[Tensor, "b k"]) -> None:
        """Commits columns of a path, and drops every other tentative node.

        Raises: ValueError as the draft's session does.
        """
        self._session.commit(path)
        self.next_logits = self._common.written(self._session.next_logits)
