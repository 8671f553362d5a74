"""A rule as others use it: the outcome for given coins, and the law of the outcome.

Axes: b batch, m nodes (the root counted), v vocabulary, k accepted nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import attrs
import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_verify.rules.forest import ACCEPT, NEVER, Forest, row_faults, shape_faults, stray_coins
from crt_verify.rules.plan import Plan, ends, leftover, stopped
from crt_verify.tree import Tree, Trees, batch
from crt_verify.verdict import FAULTS, Verdict, check
from crtcore import pick


@attrs.frozen(kw_only=True)
class Rule:
    """Judges draft trees so that what is emitted follows the target's law exactly, if the draft drew as it says."""

    plan: Callable[[Forest], Plan]
    """Tests and leftovers of a batch, before any coin falls."""
    reads: Literal["all", "last", "none"] = "all"
    """Which children the draft's law must allow: all, the last under each node, or none."""
    leaves_first: bool = False
    """Whether a node is judged after what is under it, or before."""
    chain: bool = False
    """Whether only chains can be judged."""

    def verify(
        self,
        trees: Trees,
        p: Float[Tensor, "b m v"],
        q: Float[Tensor, "b m v"],
        accept_coins: Int[Tensor, "b m"],
        final_coins: Int[Tensor, "b m"],
    ) -> Verdict:
        """The accepted path and the id after it; a node's accept coin says of the node, its final coin of an end there.

        Never raises on values: `check` does. Accept coins are below 2**24, final coins below 2**32.
        Raises: ValueError if shapes do not fit one another.
        """
        fitting(trees, p, q, accept_coins, final_coins)
        forest = self._forest(trees, p, q)
        shape = shape_faults(trees, p.shape[-1], self.chain).minimum(stray_coins(trees, accept_coins, final_coins))
        reasons = self._row_faults(forest)
        plan = self.plan(forest)
        accepted = stopped(plan, forest, accept_coins * plan.bar < plan.gain * ACCEPT, reasons > 0)
        node = ends(plan, forest, accepted.double(), self.leaves_first).argmax(-1)
        reason = reasons[forest.rows, node]
        met = torch.where(reason > 0, node * len(FAULTS) + reason, 0)
        fault = torch.where(shape < NEVER, shape, met)
        node = torch.where(fault == 0, node, 0)
        x = pick(leftover(plan, forest, node), final_coins[forest.rows, node].long())
        on = forest.lineage[forest.rows, node] & forest.there  # b m
        path = torch.where(on, forest.node, len(forest.node))[:, 1:].sort(-1).values  # a parent comes before its child
        path = torch.where(path < len(forest.node), path, -1)
        return Verdict(path, (path >= 0).sum(-1), torch.where(fault == 0, x, -1), fault)

    def law(self, tree: Tree, p: Any, q: Any) -> dict[tuple[int, ...], float]:
        """The law of what `verify` emits for a tree, in float64: emitted ids, the final one included, to probability.

        Rows `[nodes, vocabulary]` of p and q are NumPy's or torch's.
        Raises: ValueError naming the first fault of the whole tree, as walks of all coins are considered.
        """
        trees = batch([tree])
        p, q = (torch.as_tensor(rows, dtype=torch.float64, device="cpu")[None] for rows in (p, q))
        fitting(trees, p, q, trees.tokens, trees.tokens)
        forest = self._forest(trees, p, q)
        reasons = self._row_faults(forest)
        rows = torch.where(reasons > 0, forest.node * len(FAULTS) + reasons, NEVER).amin(-1)
        code = shape_faults(trees, p.shape[-1], self.chain).minimum(rows)
        nothing = trees.nodes - 1
        check(Verdict(trees.parents, nothing, nothing, torch.where(code < NEVER, code, 0)))
        plan = self.plan(forest)
        sure = plan.gain >= plan.bar
        chance = torch.where(sure, (plan.gain > 0).double(), plan.gain / torch.where(sure, 1, plan.bar))
        reached = ends(plan, forest, chance, self.leaves_first)[0]  # m
        emitted: dict[tuple[int, ...], float] = {}
        for node in reached.nonzero()[:, 0].tolist():
            weights = leftover(plan, forest, torch.tensor([node]))[0]
            for x, each in enumerate((reached[node] * weights / weights.sum()).tolist()):
                if each > 0:
                    emitted[(*tree.path(node), x)] = each + emitted.get((*tree.path(node), x), 0.0)
        return emitted

    def _forest(self, trees: Trees, p: Float[Tensor, "b m v"], q: Float[Tensor, "b m v"]) -> Forest:
        """What the plan is made of; a draft's law that is not read, and may be none, stays out of its arithmetic."""
        return Forest(trees, p, p if self.reads == "none" else q)

    def _row_faults(self, forest: Forest) -> Int[Tensor, "b m"]:
        return row_faults(forest, {"all": forest.there, "last": forest.last, "none": None}[self.reads])


def fitting(trees: Trees, p: Tensor, q: Tensor, accept_coins: Tensor, final_coins: Tensor) -> None:
    """Lets shapes pass that fit one another."""
    shape = tuple(trees.parents.shape)
    if p.dim() != 3 or not p.shape[1] * p.shape[2] or tuple(p.shape[:2]) != shape or p.shape != q.shape:
        raise ValueError(
            f"expected two rows of probabilities a node, {shape} nodes, got {tuple(p.shape)} and {tuple(q.shape)}"
        )
    if not shape == tuple(trees.tokens.shape) == tuple(accept_coins.shape) == tuple(final_coins.shape):
        raise ValueError(f"expected a token and two coins a node, {shape} nodes, got {tuple(accept_coins.shape)}")
