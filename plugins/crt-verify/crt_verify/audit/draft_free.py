"""Verification without q: ids are drawn from the target, and drafted ones save calls."""

from __future__ import annotations

import attrs

from crt_verify.audit.branches import Draws
from crt_verify.audit.drafts import DraftTree, Rows


@attrs.frozen(kw_only=True)
class TargetOnly:
    """Exact as it stands; each field that is changed makes a mistake."""

    greedy: bool = False
    anew: bool = False

    def __call__(self, tree: DraftTree, p: Rows, q: Rows, draws: Draws) -> list[int]:
        """The ids that are drawn along the tree, up to one that was not drafted."""
        node, ids = 0, list[int]()
        while True:
            row = p[node]
            below = {tree.token(child): child for child in reversed(tree.children(node))}
            best = int(row.argmax())
            x = best if self.greedy and best in below else draws.choice(row)
            if self.anew and below and x not in below:
                x = draws.choice(row)
            ids.append(x)
            if x not in below:
                return ids
            node = below[x]
