"""Block verification of a chain: the longest prefix that is accepted as a whole.

Source: Sun et al. (2025), arXiv:2403.10444, algorithm 2.
"""

from __future__ import annotations

import attrs

from crt_verify.audit.branches import Draws
from crt_verify.audit.drafts import DraftTree, Rows
from crt_verify.audit.walk import positive


@attrs.frozen(kw_only=True)
class Block:
    """Exact as it stands; each field that is changed makes a mistake."""

    capped: bool = True
    """Whether the share that is accepted is capped at 1 after each id."""
    alone: bool = False
    """Whether an id is accepted by its own ratio, and the first rejection ends the chain."""
    scaled: bool = True
    """Whether the residual has the target times the accepted share."""

    def __call__(self, tree: DraftTree, p: Rows, q: Rows, draws: Draws) -> list[int]:
        """The accepted ids, and one more."""
        nodes, share = [0], [1.0]
        while below := tree.children(nodes[-1]):
            (child,) = below
            node, x = nodes[-1], tree.token(child)
            grown = share[-1] * p[node][x] / max(q[node][x], 1e-300)
            share.append(min(grown, 1.0) if self.capped else grown)
            nodes.append(child)
        length = 0
        for place, node in enumerate(nodes[1:], start=1):
            last = place == len(nodes) - 1
            chance = share[place]
            if not last:
                mass = positive(min(share[place], 1.0) * p[node] - q[node]).sum()
                chance = mass / max(mass + 1 - min(share[place], 1.0), 1e-300)
            if self.alone:
                before, x = nodes[place - 1], tree.token(node)
                chance = p[before][x] / max(q[before][x], 1e-300)
            if draws.accept(chance):
                length = place
            elif self.alone:
                break
        node = nodes[length]
        rest = p[node]
        if length < len(nodes) - 1:
            scale = min(share[length], 1.0) if self.scaled else 1.0
            rest = positive(scale * p[node] - q[node])
            rest = rest if rest.sum() > 0 else p[node]
        return [*(tree.token(each) for each in nodes[1 : length + 1]), draws.choice(rest)]
