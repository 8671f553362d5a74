"""The rules of this package as verifiers that can be audited."""

from __future__ import annotations

import numpy as np

from crt_verify.audit.branches import Draws
from crt_verify.audit.drafts import DraftTree, Rows
from crt_verify.audit.law import Verify
from crt_verify.specs import TreeDecoding
from crt_verify.tree import Tree


def of_decoder(spec: TreeDecoding) -> Verify:
    """The rule of a decoder: what it emits is drawn from its own distribution, whose whole tree it reads."""
    from crt_verify.tree_decoder import tree_decoder

    rule = tree_decoder(spec).verifier.reference

    def verify(tree: DraftTree, p: Rows, q: Rows, draws: Draws) -> list[int]:
        rows = rule.distribution(Tree(tree.parents, tree.tokens), np.asarray(p), np.asarray(q))
        emitted = list(rows)
        return list(emitted[draws.choice(rows.values())])

    return verify


