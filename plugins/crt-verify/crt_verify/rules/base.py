"""Rule: the verdict for given uniforms, and the distribution of what it emits.

Axes: b batch, m nodes (the root counted), v vocabulary, k accepted nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import attrs
import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_run.sampling import pick
from crt_verify.rules.plan import Plan, ends, leftover, stopped
from crt_verify.rules.tree_batch import ACCEPT, NEVER, TreeBatch, row_faults, shape_faults, uniform_faults
from crt_verify.tree import Tree, Trees
from crt_verify.tree import batch as padded
from crt_verify.verdict import Fault, Verdict, check


@attrs.frozen(kw_only=True)
class Rule:
    """Verifies draft trees; what is emitted has the target's distribution if the ids were sampled from q."""

    plan: Callable[[TreeBatch], Plan]
    """The accept tests and residuals of a batch."""
    reads: Literal["all", "last", "none"] = "all"
    """Which children must be possible under q: all, the last one of each node, or none (q is not read)."""
    leaves_first: bool = False
    """Whether a node is tested after its descendants."""
    chain: bool = False
    """Whether it verifies chains only."""

    def verify(
        self,
        trees: Trees,
        p: Float[Tensor, "b m v"],
        q: Float[Tensor, "b m v"],
        accept_uniforms: Int[Tensor, "b m"],
        final_uniforms: Int[Tensor, "b m"],
    ) -> Verdict:
        """The accepted path and the id after it.

        A node is accepted by its accept uniform, below 2**24; the final id comes from the final uniform, below 2**32,
        of the node where the walk ends. Faulty values are reported in the verdict, and raised by `check`.
        Raises: ValueError if the shapes do not fit.
        """
        fitting(trees, p, q, accept_uniforms, final_uniforms)
        batch = self._tree_batch(trees, p, q)
        shape = shape_faults(trees, p.shape[-1], self.chain)
        shape = shape.minimum(uniform_faults(trees, accept_uniforms, final_uniforms))
        reasons = self._row_faults(batch)
        plan = self.plan(batch)
        accepted = stopped(plan, batch, accept_uniforms * plan.bar < plan.gain * ACCEPT, reasons > 0)
        node = ends(plan, batch, accepted.double(), self.leaves_first).argmax(-1)
        reason = reasons[batch.rows, node]
        read = torch.where(reason > 0, node * len(Fault) + reason, 0)
        fault = torch.where(shape < NEVER, shape, read)
        node = torch.where(fault == 0, node, 0)
        x = pick(leftover(plan, batch, node), final_uniforms[batch.rows, node].long())
        on = batch.lineage[batch.rows, node] & batch.there  # b m
        path = torch.where(on, batch.node, len(batch.node))[:, 1:].sort(-1).values  # a parent comes before its child
        path = torch.where(path < len(batch.node), path, -1)
        return Verdict(path, (path >= 0).sum(-1), torch.where(fault == 0, x, -1), fault)

    def distribution(self, tree: Tree, p: Any, q: Any) -> dict[tuple[int, ...], float]:
        """The probability of each row of ids, the final one included, that `verify` can emit for a tree, in float64.

        Rows `[nodes, vocabulary]` of p and q are NumPy arrays or tensors.
        Raises: ValueError with the first fault of the whole tree, as every walk is considered.
        """
        trees = padded([tree])
        p, q = (torch.as_tensor(rows, dtype=torch.float64, device="cpu")[None] for rows in (p, q))
        fitting(trees, p, q, trees.tokens, trees.tokens)
        batch = self._tree_batch(trees, p, q)
        reasons = self._row_faults(batch)
        rows = torch.where(reasons > 0, batch.node * len(Fault) + reasons, NEVER).amin(-1)
        code = shape_faults(trees, p.shape[-1], self.chain).minimum(rows)
        nothing = trees.nodes - 1
        check(Verdict(trees.parents, nothing, nothing, torch.where(code < NEVER, code, 0)))
        plan = self.plan(batch)
        sure = plan.gain >= plan.bar
        chance = torch.where(sure, (plan.gain > 0).double(), plan.gain / torch.where(sure, 1, plan.bar))
        reached = ends(plan, batch, chance, self.leaves_first)[0]  # m
        emitted: dict[tuple[int, ...], float] = {}
        for node in reached.nonzero()[:, 0].tolist():
            weights = leftover(plan, batch, torch.tensor([node]))[0]
            for x, each in enumerate((reached[node] * weights / weights.sum()).tolist()):
                if each > 0:
                    emitted[(*tree.path(node), x)] = each + emitted.get((*tree.path(node), x), 0.0)
        return emitted

    def _tree_batch(self, trees: Trees, p: Float[Tensor, "b m v"], q: Float[Tensor, "b m v"]) -> TreeBatch:
        """The batch that the plan is made of; a q that is not read, and may be invalid, stays out of its arithmetic."""
        return TreeBatch(trees, p, p if self.reads == "none" else q)

    def _row_faults(self, batch: TreeBatch) -> Int[Tensor, "b m"]:
        return row_faults(batch, {"all": batch.there, "last": batch.last, "none": None}[self.reads])


def fitting(trees: Trees, p: Tensor, q: Tensor, accept_uniforms: Tensor, final_uniforms: Tensor) -> None:
    """Checks that shapes fit.

    Raises: ValueError if they do not.
    """
    shape = tuple(trees.parents.shape)
    if p.dim() != 3 or not p.shape[1] * p.shape[2] or tuple(p.shape[:2]) != shape or p.shape != q.shape:
        raise ValueError(
            f"expected two rows of probabilities a node, {shape} nodes, got {tuple(p.shape)} and {tuple(q.shape)}"
        )
    if not shape == tuple(trees.tokens.shape) == tuple(accept_uniforms.shape) == tuple(final_uniforms.shape):
        raise ValueError(f"expected a token and two uniforms a node, {shape} nodes, got {tuple(accept_uniforms.shape)}")
