"""What verdicts are timed on: trees of four shapes with drafted ids, logits and uniforms, and the rows they read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from machine import here
from torch import Tensor

from crt_run.sampling import probabilities
from crt_verify.tree import Tree, Trees, batch
from crtcore import Sampling

TOP_P = 0.9
Arms: TypeAlias = dict[str, Callable[[int], Any]]
"""What is timed by name; each is called with the number of its round."""


def branching(*counts: int) -> tuple[int, ...]:
    parents, level = [-1], [0]
    for count in counts:
        below = range(len(parents), len(parents) + len(level) * count)
        parents += [parent for parent in level for _ in range(count)]
        level = list(below)
    return tuple(parents)


def beam(width: int, length: int) -> tuple[int, ...]:
    """A beam's tree in which half of each level continues under one node."""
    parents, level = [-1], [0]
    for _ in range(length):
        chosen = [level[max(0, place - width // 2) % len(level)] for place in range(width)]
        level = list(range(len(parents), len(parents) + width))
        parents += sorted(chosen)
    return tuple(parents)


SHAPES = {
    "chain 5": branching(1, 1, 1, 1, 1),
    "rsd-c (5,1,1,1,1,1)": branching(5, 1, 1, 1, 1, 1),
    "rsd-s (5,6)": beam(5, 6),
    "64 nodes": beam(9, 7),
}


def drawn(
    parents: tuple[int, ...], size: int, vocabulary: int, seed: int
) -> tuple[Trees, Tensor, Tensor, Tensor, Tensor]:
    """Trees with ids sampled from the draft, logits of both in bfloat16, and uniforms."""
    generator = torch.Generator(here().device).manual_seed(seed)
    normal: Any = {"generator": generator, "device": here().device, "dtype": torch.bfloat16}
    draft = 3 * torch.randn(size, len(parents), vocabulary, **normal)
    target = draft + torch.randn(draft.shape, **normal)
    above = torch.tensor(parents, device=here().device).clamp(min=0)
    tokens = torch.empty(size, len(parents), dtype=torch.int64, device=here().device)
    for node in range(1, len(parents)):
        race = torch.empty(size, vocabulary, device=here().device).exponential_(generator=generator)
        distribution = probabilities(draft[:, above[node]], Sampling(top_p=TOP_P))  # of ids that no arm rules out
        tokens[:, node] = (distribution.log() - race.log()).argmax(-1)
    one = batch([Tree(parents, (-1, *[0] * (len(parents) - 1)))])
    tokens[:, 0] = -1
    trees = Trees(
        one.parents.to(here().device).expand(size, -1).contiguous(),
        tokens,
        one.nodes.to(here().device).expand(size).contiguous(),
    )
    accept, final = (
        torch.randint(top, tokens.shape, generator=generator, device=here().device) for top in (2**24, 2**32)
    )
    return trees, target, draft, accept, final


def whole(logits: Tensor) -> Tensor:
    """Probabilities of logits, by one softmax of torch."""
    return torch.softmax(logits, -1, dtype=torch.float32)


LOOKS = ("single", "multiround", "recursive")
"""Rules that read the rows of a node only once its first child is rejected."""


def read_rows(name: str, inputs: Any, rows: Any, *, from_probabilities: bool) -> int:
    """Rows that walks read, each once: both distributions of a node with children, the target's of another.

    `from_probabilities`: rows are probabilities, of which two numbers can suffice.
    """
    trees, _, _, accept, final = inputs
    verdict = here().rule(name).verify(trees, *rows, accept, final)
    above, node = trees.parents.clamp(min=0), torch.arange(trees.parents.shape[1], device=trees.parents.device)
    inner = torch.zeros_like(trees.tokens).scatter(1, above[:, 1:], 1)
    eldest = torch.full_like(above, len(node)).scatter_reduce(1, above[:, 1:], node[1:].expand_as(above[:, 1:]), "amin")
    nodes = torch.cat([torch.zeros_like(verdict.length)[:, None], verdict.path], 1)  # b k
    after = torch.cat([verdict.path, torch.full_like(verdict.length, -1)[:, None]], 1)
    seen = (eldest.gather(1, nodes.clamp(min=0)) == after) & (from_probabilities and name in LOOKS)
    read = torch.where((nodes >= 0) & ~seen, 1 + inner.gather(1, nodes.clamp(min=0)) * (name != "target-only"), 0)
    return int(read.sum())
