"""Builds the trees of the likeliest nodes for a batch.

Axes: b batch, m nodes (the root counted), w nodes of a level, u uniforms, v vocabulary.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify.drafters.draft_session import DraftSession
from crt_verify.drafters.tree_builder import Level, Proposal, TreeBuilder, ordered_nodes
from crt_verify.tree import Trees


class LikeliestBuilder(TreeBuilder):
    """Keeps the likeliest paths of each length, then the likeliest nodes of all; takes no uniforms."""

    def __init__(self, width: int, length: int, size: int) -> None:
        self.width, self.size = width, size
        self.widths = (width,) * length
        self.uniforms = (0,) * length

    def initial_state(self, rows: int, device: torch.device) -> Float[Tensor, "b 1 1"]:
        """The root is reached for sure."""
        return torch.ones(rows, 1, 1, dtype=torch.float64, device=device)

    def expand(self, depth: int, level: Level, q: Float[Tensor, "b w v"], uniforms: Int[Tensor, "b u"]) -> Level:
        """The likeliest children of all nodes: of each node, no more are looked at than are kept of the level."""
        count = min(self.width, q.shape[-1])
        chances, ids = q.topk(count)  # b w k
        reached = level.state * (level.ids >= 0)[..., None]  # b w 1
        chances = (reached * chances.nan_to_num(1)).flatten(1)  # NaN: the draft is reported where ids are drawn
        order = chances.argsort(dim=-1, descending=True, stable=True)[:, : self.width]
        chances = chances.gather(1, order)
        ids = torch.where(chances > 0, ids.flatten(1).gather(1, order), -1)
        short = self.width - ids.shape[1]  # the vocabulary has fewer ids
        level = Level(ids, order // count, chances[..., None])
        return level if short <= 0 else _longer(level, short)

    def propose(self, session: DraftSession, depths: Int[Tensor, " b"], uniforms: Int[Tensor, "b u"]) -> Proposal:
        """The likeliest nodes, no deeper than `depths`.

        Cost: as of other builders; the target reads the nodes that are kept alone.
        """
        levels: list[Level] = []
        whole = self.levels(session, depths, uniforms, levels)
        chances = torch.cat([level.state[..., 0] for level in levels], 1)  # b m, the root first
        present = torch.cat([level.ids for level in levels], 1) >= 0
        order = torch.where(present, chances, -1).argsort(dim=-1, descending=True, stable=True)
        kept = torch.zeros_like(present).scatter_(1, order[:, : 1 + self.size], True)
        (parents, tokens, nodes), places = ordered_nodes(torch.where(kept, whole.ids, -1), whole.parents)
        most = min(1 + self.size, kept.shape[1])
        places = places[:, :most]
        rows = torch.cat([*whole.rows, torch.zeros_like(whole.rows[-1][:, :1])], 1)  # b r v; nodes of the last level: 0
        rows = rows.gather(1, places.clamp(max=rows.shape[1] - 1)[..., None].expand(-1, -1, rows.shape[-1]))
        return Proposal(Trees(parents[:, :most], tokens[:, :most], nodes), rows, places)


def _longer(level: Level, count: int) -> Level:
    """A level with absent nodes behind the others."""
    pad = torch.nn.functional.pad
    return Level(pad(level.ids, (0, count), value=-1), pad(level.above, (0, count)), pad(level.state, (0, 0, 0, count)))
