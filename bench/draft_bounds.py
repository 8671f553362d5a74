"""How many drafted ids exact rules accept with a few nodes, and how far that is from what any exact rule could.

Everything is enumerated: random targets over four ids with other rows behind each path, drafts whose logits are the
target's with noise, all trees of six nodes, both outcomes of every accept test. The bound at the root is the transport
bound of the first level; the bound in total is the sum of the levels' bounds. No rule need reach the sum.

Usage: python bench/draft_bounds.py [--pairs N] [--threads N] [--json]
"""

import itertools
import statistics
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from side_by_side import keep, options, show
from torch import Tensor

from crt_verify.bounds import level_bounds
from crt_verify.drafters import Branching, Chain, Drafter, GreedyTop, Paths, draft_distribution
from crt_verify.pairing import paired
from crt_verify.rules import Rule
from crt_verify.rules.plan import ends
from crt_verify.rules.tree_batch import TreeBatch
from crt_verify.tree import Tree, batch

VOCABULARY = 4
SPREAD = 2.5
"""Standard deviation of the target's logits."""
NOISES = {"near": 0.4, "middle": 1.0, "far": 2.0}
"""Standard deviation of a draft's logits around the target's, by the draft's name."""
TEMPERATURES = (0.3, 1.0)
DRAFT_CALL = 0.07
"""Target calls that a draft call costs: `draft_cost_measured` of results/rsd.json."""
RULES: dict[str, tuple[str, Sequence[Drafter]]] = {
    "sd": ("single", [Chain(length=6)]),
    "block": ("block", [Chain(length=6)]),
    "spectr": ("kseq", [Paths(paths=2, length=3), Paths(paths=3, length=2)]),
    "multi-block": ("multi-block", [Paths(paths=2, length=3), Paths(paths=3, length=2)]),
    "rsd-c": ("recursive", [Branching(branching=shape) for shape in ((2, 1, 1), (2, 2), (3, 1))]),
    "rsd-c, delayed": ("recursive", [Branching(branching=shape) for shape in ((1, 1, 2, 1), (1, 1, 1, 3))]),
    "traversal": ("traversal", [Branching(branching=shape) for shape in ((2, 1, 1), (2, 2), (3, 1))]),
    "traversal, delayed": ("traversal", [Branching(branching=shape) for shape in ((1, 1, 2, 1), (1, 1, 1, 3))]),
    "greedy-tree": ("greedy", [GreedyTop(branching=shape) for shape in ((2, 1, 1), (2, 2), (3, 1))]),
}
"""Decoders with six drafted ids, by rule and structures. The best structure is shown, of ids and of ids by cost."""


class Pair(NamedTuple):
    """The rows of a target and a draft behind each path, as functions of its ids."""

    seed: int
    noise: float
    temperature: float

    def p(self, path: tuple[int, ...]) -> Tensor:
        """The target's row behind a path."""
        return rows(*self, path)[0]

    def q(self, path: tuple[int, ...]) -> Tensor:
        """The draft's row behind a path."""
        return rows(*self, path)[1]


@cache
def rows(seed: int, noise: float, temperature: float, path: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    place = seed + sum((x + 1) * 4**step for step, x in enumerate(path)) * 1000
    drawn = torch.randn(2, VOCABULARY, generator=torch.Generator().manual_seed(place), dtype=torch.float64)
    logits = SPREAD * drawn[0]
    return (logits / temperature).softmax(-1), ((logits + noise * drawn[1]) / temperature).softmax(-1)


class Reached(NamedTuple):
    """Mean accepted ids, and the chance of one at least, with the bounds of both; emitted ids by the cost of a call."""

    ids: float
    any: float
    most_ids: float
    most_any: float
    by_cost: float


def main() -> None:
    arguments = options("Accepted ids beside the transport bound, by enumeration.", pairs=8)
    numbers, table = {}, []
    for temperature, (draft, noise) in itertools.product(TEMPERATURES, NOISES.items()):
        pairs = [Pair(seed, noise, temperature) for seed in range(arguments.pairs)]
        for name, (rule, drafters) in RULES.items():
            tried = [[reached(paired(drafter, rule), drafter, pair) for pair in pairs] for drafter in drafters]
            means = [mean(each) for each in tried]
            best = max(range(len(means)), key=lambda place: means[place].ids)
            cheap = max(range(len(means)), key=lambda place: means[place].by_cost)
            label = f"{name}, {draft} draft, temperature {temperature}"
            numbers |= named(label, means[best], tried[best])
            numbers[f"{label}, structure"] = str(drafters[best])
            numbers[f"{label}, ids by cost"] = means[cheap].by_cost
            numbers[f"{label}, structure by cost"] = str(drafters[cheap])
            table.append(row((f"{temperature}", draft, name), means[best], means[cheap].by_cost))
    print(f"torch {torch.__version__}, {arguments.pairs} pairs, {VOCABULARY} ids, 6 nodes")
    show(("temperature", "draft", "decoder", "ids accepted", "of the bound", "any", "of the bound", "by cost"), table)
    keep("draft_bounds", [], numbers, arguments)


def reached(rule: Rule, drafter: Drafter, pair: Pair) -> Reached:
    """What a rule accepts of a drafter's trees, over all of them."""
    drafts = list(draft_distribution(drafter, pair.q))
    trees, chances = [tree for tree, _ in drafts], torch.tensor([chance for _, chance in drafts], dtype=torch.float64)
    depths = ended(rule, trees, pair)  # t d
    law = chances @ depths
    levels = torch.arange(len(law), dtype=torch.float64)
    bounds, ids = level_bounds(drafts, pair.p), float(law @ levels)
    return Reached(ids, 1 - float(law[0]), sum(bounds), bounds[0], (1 + ids) / (1 + DRAFT_CALL * len(drafter.widths)))


def ended(rule: Rule, trees: Sequence[Tree], pair: Pair) -> Tensor:
    """The distribution of the accepted ids of each tree."""
    paths = [[tree.path(node) for node in range(len(tree))] for tree in trees]
    most = max(map(len, paths))
    blank = torch.zeros(VOCABULARY, dtype=torch.float64)
    p, q = (
        torch.stack([torch.stack([*map(side, each), *[blank] * (most - len(each))]) for each in paths])
        for side in (pair.p, pair.q)
    )
    made = TreeBatch(batch(trees), p, p if rule.reads == "none" else q)
    plan = rule.plan(made)
    sure = plan.gain >= plan.bar
    chance = torch.where(sure, (plan.gain > 0).double(), plan.gain / torch.where(sure, 1, plan.bar))
    at = ends(plan, made, chance, rule.leaves_first)  # t m
    depth = made.lineage.sum(-1) - 1
    return torch.zeros(len(trees), 1 + max(tree.depth for tree in trees), dtype=torch.float64).scatter_add(1, depth, at)


def mean(of: Sequence[Reached]) -> Reached:
    return Reached(*(statistics.fmean(each) for each in zip(*of, strict=True)))


def named(name: str, value: Reached, pairs: Sequence[Reached]) -> dict[str, float]:
    """The means, the shares of the bounds, and the standard error of the accepted ids over pairs."""
    return {
        f"{name}, ids accepted": value.ids,
        f"{name}, ids accepted, standard error": statistics.stdev(each.ids for each in pairs) / len(pairs) ** 0.5,
        f"{name}, of the bound in total": value.ids / value.most_ids,
        f"{name}, any accepted": value.any,
        f"{name}, of the bound at the root": value.any / value.most_any,
    }


def row(place: tuple[str, ...], value: Reached, by_cost: float) -> tuple[str, ...]:
    shares = (value.ids, value.ids / value.most_ids, value.any, value.any / value.most_any, by_cost)
    return (*place, *(f"{each:.3f}" for each in shares))


if __name__ == "__main__":
    main()
