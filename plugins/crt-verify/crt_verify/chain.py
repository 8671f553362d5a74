"""The drafter of chains: its session lags the emitted ids by one or two a row.

Axes: b batch, L drafted ids, v vocabulary.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from crtcore import Sampling, pick, probabilities
from crtcore.kinds import Session


class ChainDrafter:
    """Proposes chains from a draft's session; `keep` tells it what became of them."""

    def __init__(self, session: Session, last: Int[Tensor, " b"], sampling: Sampling) -> None:
        self.session = session
        self.sampling = sampling
        self.late = torch.stack([last, torch.full_like(last, -1)], 1)  # b 2: emitted, not yet given to the draft

    def propose(
        self, sizes: Int[Tensor, " b"], coins: Int[Tensor, "b L"]
    ) -> tuple[Int[Tensor, "b L"], Float[Tensor, "b L v"]]:
        """Chains of `sizes` ids a row, and the laws that they were drawn from."""
        both = (self.late[:, 1:] >= 0).long()  # b 1
        logits = self.session.extend(self.late)  # b 2 v
        logits = logits.gather(1, both[..., None].expand(-1, -1, logits.shape[-1]))[:, 0]  # b v
        ids, laws = [], []
        for step in range(coins.shape[1]):
            laws.append(probabilities(logits, self.sampling))
            ids.append(torch.where(step < sizes, pick(laws[-1], coins[:, step]), -1))
            if step + 1 < coins.shape[1]:  # what follows the last drafted id is the target's to say
                logits = self.session.extend(ids[-1][:, None])[:, 0]
        self.ids = torch.stack(ids, 1)
        return self.ids, torch.stack(laws, 1)

    def keep(self, accepted: Int[Tensor, " b"], last: Int[Tensor, " b"], drawing: Bool[Tensor, " b"]) -> None:
        """Commits what was accepted; `last` is the id emitted after it. Rows that ended stay as they are."""
        longest = self.ids.shape[1]
        both = (self.late[:, 1] >= 0).long()
        size = torch.where(drawing, 1 + both + accepted.clamp(max=longest - 1), 0)[:, None]
        step = torch.arange(longest + 1, device=size.device)
        columns = step + ((step > 0) & (both == 0)[:, None])  # column 1 is absent where one id was late
        self.session.commit(torch.where(step < size, columns, -1))
        whole = accepted == longest  # then the last drafted id was never extended
        late = torch.stack([self.ids[:, -1], last], 1)
        alone = torch.stack([last, torch.full_like(last, -1)], 1)
        self.late = torch.where(drawing[:, None], torch.where(whole[:, None], late, alone), -1)
