"""Batches on which device code is compared with the reference, and the comparison.

Axes: b batch, m nodes (the root counted), v vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from crt_verify.rules import rule as reference_rule
from crt_verify.rules.base import Rule
from crt_verify.rules.tree_batch import ACCEPT, FINAL, TreeBatch
from crt_verify.tree import Trees
from crt_verify.verdict import Verdict

WORDS: dict[str, tuple[str, dict[str, bool]]] = {
    name: (name, {})
    for name in ("single", "multiround", "recursive", "kseq", "block", "multi-block", "greedy", "target-only")
}
WORDS |= {"traversal": ("traversal", {"replacement": False}), "traversal-iid": ("traversal", {"replacement": True})}
REFERENCE: dict[str, Rule] = {label: reference_rule(name, **keywords) for label, (name, keywords) in WORDS.items()}
MANY = 10_000


class Cases(NamedTuple):
    """The arguments of a rule."""

    trees: Trees
    p: Tensor
    q: Tensor
    accept: Tensor
    final: Tensor


def random_distributions(generator: torch.Generator, *shape: int) -> Tensor:
    """Float32 rows: random, near zero, cut to the likeliest two, or with one possible id (temperature 0)."""
    weights = torch.rand(shape, generator=generator, dtype=torch.float64) ** 4 + 1e-9
    likeliest = weights.argsort(-1, descending=True).argsort(-1)
    kind = torch.randint(4, (*shape[:-1], 1), generator=generator)
    weights = torch.where((kind == 1) & (likeliest > 1), 0, weights)
    weights = torch.where((kind == 2) & (likeliest > 0), 0, weights)
    weights = torch.where((kind == 3) & (likeliest > shape[-1] // 2), weights * 1e-30, weights)
    return (weights / weights.sum(-1, keepdim=True)).float()


def ragged(label: str, seed: int, *, size: int = MANY, nodes: int = 7, vocabulary: int = 5) -> Cases:
    """Ragged trees of drafted ids; siblings can repeat, padded rows are NaN, half of the uniforms are at an edge.

    In a fifth of the rows target and draft are equal, so that a rejection leaves nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    p, q = (random_distributions(generator, size, nodes, vocabulary) for _ in range(2))
    p = torch.where((torch.rand(size, generator=generator) < 0.2)[:, None, None], q, p)
    node = torch.arange(nodes)
    counts = torch.randint(1, nodes + 1, (size,), generator=generator)
    above = (torch.rand(size, nodes, generator=generator) * node).long()
    parents = (node - 1).expand(size, nodes) if REFERENCE[label].chain else torch.where(node == 0, -1, above)
    rows = q[torch.arange(size)[:, None], parents.clamp(min=0)].flatten(0, 1)
    tokens = torch.multinomial(rows, 1, generator=generator).view(size, nodes)
    there = node < counts[:, None]
    parents, tokens = (torch.where(there, field, -1) for field in (parents, tokens))
    tokens[:, 0] = -1
    for rows in (p, q):
        rows[~there] = torch.nan
    trees = Trees(parents, tokens, counts)
    accept, final = (torch.randint(top, (size, nodes), generator=generator) for top in (ACCEPT, FINAL))
    plan = REFERENCE[label].plan(TreeBatch(trees, p, q))
    edge = (plan.gain * ACCEPT / plan.bar).nan_to_num(0, 0, 0).clamp(0, ACCEPT - 1).ceil().long()
    edge = (edge + torch.randint(-1, 2, edge.shape, generator=generator)).clamp(0, ACCEPT - 1)
    accept = torch.where(torch.rand(edge.shape, generator=generator) < 0.5, edge, accept)
    return Cases(trees, p, q, accept, final)


def spoiled(cases: Cases, seed: int) -> Cases:
    """The same with faults in most rows: entries, sums, parents, ids, counts, uniforms."""
    generator = torch.Generator().manual_seed(seed)

    def hit(field: Tensor, values: list[float], share: float) -> Tensor:
        hits = torch.rand(field.shape, generator=generator) < share
        chosen = torch.tensor(values)[torch.randint(len(values), field.shape, generator=generator)]
        return torch.where(hits, chosen.to(field.dtype), field)

    wrong = [torch.nan, torch.inf, -torch.inf, -0.25, 0.0, 1.0, 0.2501]
    trees = Trees(
        hit(cases.trees.parents, [-2, -1, 0, 3, 9], 0.02),
        hit(cases.trees.tokens, [-7, -1, 0, 5, 9], 0.02),
        hit(cases.trees.nodes, [-1, 0, 3, 7, 8], 0.05),
    )
    p, q = (hit(rows, wrong, 0.01) for rows in (cases.p, cases.q))
    return Cases(
        trees, p, q, hit(cases.accept, [-1, ACCEPT, ACCEPT - 1], 0.01), hit(cases.final, [-1, FINAL, FINAL - 1], 0.01)
    )


def uniform(cases: Cases, seed: int) -> Cases:
    """The batches whose target and draft differ, with uniforms that are not at an edge.

    Where target and draft are equal, the root of `kseq` is a multiple one: its last bits move edges by their square or
    cube root, and do not change the distribution of emitted rows.
    """
    generator = torch.Generator().manual_seed(seed)
    apart = (cases.p != cases.q).where(~cases.p.isnan(), False).flatten(1).any(-1)
    uniforms = [torch.randint(top, cases.accept.shape, generator=generator) for top in (ACCEPT, FINAL)]
    trees, *fields = cases._replace(accept=uniforms[0], final=uniforms[1])
    return Cases(Trees(*(field[apart] for field in trees)), *(field[apart] for field in fields))


def differing(one: Verdict, other: Verdict) -> int:
    """The number of rows in which two verdicts are not equal bit for bit."""
    same = [x == y if x.dim() == 1 else (x == y).all(-1) for x, y in zip(one, other, strict=True)]
    return int((~torch.stack(same).all(0)).sum())
