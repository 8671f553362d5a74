"""The rules of this package as verifiers that can be audited."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np

from crt_verify.audit.branches import Draws
from crt_verify.audit.drafts import DraftTree, Rows
from crt_verify.audit.law import Verify
from crt_verify.specs import TreeDecoding
from crt_verify.tree import Tree
from crt_verify.tree_decoder import tree_decoder

SIZES: dict[str, Any] = {"length": 2, "paths": 2, "width": 2, "branching": (2, 1)}
"""Fields of small trees."""


def small(kind: type[TreeDecoding]) -> TreeDecoding:
    """A decoder of a kind whose trees are small."""
    return kind(**{field.name: SIZES[field.name] for field in attrs.fields(kind) if field.name in SIZES})


def of_decoder(spec: TreeDecoding) -> Verify:
    """The rule of a decoder: what it emits is drawn from the rule's own distribution, whose whole tree it reads."""
    rule = tree_decoder(spec).verifier.reference

    def verify(tree: DraftTree, p: Rows, q: Rows, draws: Draws) -> list[int]:
        rows = rule.distribution(Tree(tree.parents, tree.tokens), np.asarray(p), np.asarray(q))
        return list(list(rows)[draws.choice(rows.values())])

    return verify
