"""Reachability in random acyclic graphs.

Axes: b batch, v nodes, i parents, e edges, k numbers of a problem, p ids of a prompt, s ids of a solution.
Id -1 means absent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from crt_latent.tasks.generated import GeneratedTask
from crt_latent.tasks.prose import Prose
from crt_latent.tasks.spec import Graph
from crt_latent.tasks.task import Traced
from crt_latent.tasks.uniforms import bits, orders
from crt_latent.traces import Trace, compact
from crtcore import Noise

MARKS = ("every", "is", ".", "or", "?", "→", ";")
MEAN = 1.5
"""Mean number of parents that is drawn for a node."""
ONE_SIDED = 0.35
"""Probability that a node has no parents below root 1, and that it has none below root 0."""
DEPTH = 1.5
"""A parent's weight is 1 plus this for each edge of its depth."""
ROUNDS = 4
"""Rounds in which colours are mixed."""
LARGEST = 2**31 - 1
"""The largest colour."""
FAR = 99
"""Depth of a node that is not below a root."""
POISSON = tuple(
    int(2**32 * sum(math.exp(-MEAN) * MEAN**each / math.factorial(each) for each in range(top + 1)))
    for top in range(12)
)
"""Thresholds below 2**32 of at most 0, 1, 2, ... parents."""


class Dag(NamedTuple):
    """Graphs whose edges go from older to younger nodes."""

    edges: Bool[Tensor, "b v i"]
    """True at v i: i is a parent of v."""
    below: Int[Tensor, "b v"]
    """1: below root 0 alone; 2: below root 1 alone; 3: below both; 0: below none."""


class Reachability:
    """Ids of nodes follow those of the marks."""

    def __init__(self, spec: Graph) -> None:
        self.spec = spec
        self.texts = (*MARKS, *(f"n{index}" for index in range(spec.nodes)))
        self._prose = Prose(self.texts)

    def problems(self, rows: Int[Tensor, " b"], seeds: Int[Tensor, " b"]) -> Int[Tensor, "b k"]:
        """Draws the parents of each node, as bits, then A and B, -1 if there are none; even rows name A first."""
        nodes = self.spec.nodes
        dag = drawn(nodes, seeds)
        young = torch.arange(nodes) > 1
        uniforms = bits(seeds, "answers", 2)
        answer = _picked((dag.below == 1) & (depths(dag.edges) == self.spec.hops) & young, uniforms[:, 0])
        other = _picked((dag.below == 2) & young, uniforms[:, 1])
        masks = (dag.edges.long() << torch.arange(nodes)).sum(2)
        return torch.cat((masks, answer[:, None], other[:, None], rows[:, None] % 2), 1)

    def key(self, problems: Int[Tensor, "b k"]) -> Int[Tensor, "b 1"]:
        """Returns a hash of the graph that its prompts show: the same however its nodes are named and ordered.

        The start has a mark of its own, the question none, and nodes without an edge count for nothing.
        """
        masks = problems[:, : self.spec.nodes]
        return shape_hash((masks[:, :, None] >> torch.arange(self.spec.nodes) & 1).bool())

    def traced(self, problems: Int[Tensor, "b k"], seeds: Int[Tensor, " b"]) -> Traced:
        """Writes traces; graphs can be used if they have an A, a B and at most the edges of the spec."""
        nodes = self.spec.nodes
        masks, (answer, other, swapped) = problems[:, :nodes], problems[:, nodes:].unbind(1)
        edges = (masks[:, :, None] >> torch.arange(nodes) & 1).bool()
        fit = (answer >= 0) & (other >= 0) & (edges.sum((1, 2)) <= self.spec.edges)
        names = len(MARKS) + orders(seeds, "names", nodes)
        answer, other = answer.clamp(min=0), other.clamp(min=0)
        options = torch.stack((answer, other), 1)
        first, second = names.gather(1, options.where(swapped[:, None] == 0, options.flip(1))).unbind(1)
        question = torch.stack([_mark(first, each) for each in ("is", "or", "?")], 1)
        asked = torch.stack((names[:, 0], question[:, 0], first, question[:, 1], second, question[:, 2]), 1)
        prompt = torch.cat((self._edge_facts(edges, names, seeds), asked), 1)
        steps = self._path(edges, names, answer)
        return Traced(Trace(compact(prompt), steps, names.gather(1, answer[:, None])), fit)

    def solved(self, prompt: Int[Tensor, "b p"], solution: Int[Tensor, "b s"]) -> Bool[Tensor, " b"]:
        """Returns whether the solution names the node that can be reached."""
        answers = [[reached(words)] for words in self._prose.rows(prompt)]
        given = self._prose.rows(solution)
        return torch.tensor([one == other for one, other in zip(answers, given, strict=True)], dtype=torch.bool)

    def _edge_facts(
        self, edges: Bool[Tensor, "b v i"], names: Int[Tensor, "b v"], seeds: Int[Tensor, " b"]
    ) -> Int[Tensor, "b w"]:
        """Writes `every parent is child .` for each edge, shuffled."""
        child, parent = torch.ones(self.spec.nodes, self.spec.nodes).nonzero().unbind(1)
        order = bits(seeds, "edges", len(child)).masked_fill(~edges.flatten(1), 2**32)
        chosen = order.argsort(dim=1, stable=True)[:, : self.spec.edges]
        there = edges.flatten(1).gather(1, chosen)[:, :, None]
        one, other = names.gather(1, parent[chosen]), names.gather(1, child[chosen])
        words = torch.stack((_mark(one, "every"), one, _mark(one, "is"), other, _mark(one, ".")), 2)
        return words.masked_fill(~there, -1).flatten(1)

    def _path(
        self, edges: Bool[Tensor, "b v i"], names: Int[Tensor, "b v"], answer: Int[Tensor, " b"]
    ) -> Int[Tensor, "b w"]:
        """Writes `parent → child ;` for each edge of a shortest path to `answer`."""
        depth, steps, node = depths(edges), [], answer
        rows = torch.arange(len(answer))
        for hop in range(self.spec.hops, 0, -1):
            closer = edges[rows, node] & (depth == hop - 1)
            parent = closer.long().argmax(1)  # the oldest
            one, other = names[rows, parent], names[rows, node]
            steps.append(torch.stack((one, _mark(one, "→"), other, _mark(one, ";")), 1))
            node = parent
        return torch.cat(steps[::-1], 1)


def drawn(nodes: int, seeds: Int[Tensor, " b"]) -> Dag:
    """Draws a graph for each seed."""
    parent_counts = (bits(seeds, "parents", nodes)[:, :, None] >= torch.tensor(POISSON)).sum(2)
    sides = bits(seeds, "sides", nodes).double() / 2**32
    uniforms = Noise(seeds, "races").shorts(nodes * nodes).view(-1, nodes, nodes)
    races = -((uniforms.double() + 0.5) / 2**16).log()
    edges = torch.zeros(len(seeds), nodes, nodes, dtype=torch.bool)
    below = torch.zeros(len(seeds), nodes, dtype=torch.int64)
    depth = torch.zeros(len(seeds), nodes)
    below[:, 0], below[:, 1] = 1, 2
    for node in range(2, nodes):
        side = sides[:, node, None]
        barred = torch.where(side <= ONE_SIDED, 2, torch.where(side <= 2 * ONE_SIDED, 1, 0))
        candidates = (below[:, :node] & barred) == 0
        finish = races[:, node, :node] / (
            DEPTH * depth[:, :node] + 1
        )  # the k smallest exponential times are weighted draws
        ranks = finish.masked_fill(~candidates, torch.inf).argsort(dim=1, stable=True).argsort(1)
        parents = (ranks < parent_counts[:, node, None]) & candidates
        edges[:, node, :node] = parents
        for side_bit in (1, 2):
            below[:, node] |= side_bit * (parents & (below[:, :node] & side_bit > 0)).any(1)
        nearest = depth[:, :node].masked_fill(~parents, torch.inf).amin(1) + 1
        depth[:, node] = nearest.where(parents.any(1), 0)
    return Dag(edges, below)


def shape_hash(edges: Bool[Tensor, "b v i"]) -> Int[Tensor, "b 1"]:
    """Hashes graphs by colours of nodes, of which each has those of its parents and children mixed in, a few times.

    Graphs that differ in names and order alone have the same hash, and some others too.
    Source: Weisfeiler and Leman (1968), The reduction of a graph to canonical form.
    """
    parents = edges.long()
    start = torch.arange(edges.shape[1]) == 0
    shown = edges.any(1) | edges.any(2) | start
    colors = torch.where(start, 1, 2).expand(edges.shape[:2])
    for _ in range(ROUNDS):
        above, beneath = _scrambled(colors), _scrambled(colors + 1)
        near = (parents @ above[..., None] + 2 * (parents.mT @ beneath[..., None]))[..., 0]
        colors = _scrambled(colors + near & LARGEST)
    return (_scrambled(colors) * shown).sum(1, keepdim=True) & LARGEST


def _scrambled(numbers: Int[Tensor, "*b"]) -> Int[Tensor, "*b"]:
    """Returns numbers below 2**31 that have little in common with `numbers`, which are at most 2**31."""
    product = numbers * 0x9E3779B1
    return (product ^ product >> 31) & LARGEST


def depths(edges: Bool[Tensor, "b v i"]) -> Int[Tensor, "b v"]:
    """Counts edges of the shortest path from root 0 to each node, `FAR` where there is none."""
    result = torch.full(edges.shape[:2], FAR)
    result[:, 0] = 0
    for node in range(1, edges.shape[1]):
        nearest = result[:, :node].masked_fill(~edges[:, node, :node], FAR).amin(1)
        result[:, node] = (nearest + 1).clamp(max=FAR)
    return result


def reached(prompt: Sequence[str]) -> str:
    """Returns which of the two nodes in a prompt's question can be reached, by breadth-first search.

    Raises: ValueError if both or none can be reached, or the prompt is not valid.
    """
    try:
        *facts, (start, _, one, _, other) = Prose.sentences(prompt)
        children: dict[str, list[str]] = {}
        for _, parent, _, child in facts:
            children.setdefault(parent, []).append(child)
    except ValueError:
        raise ValueError(f"expected edges and a question, got {' '.join(prompt)!r}") from None
    there = searched(children, start)
    if (one in there) == (other in there):
        count = "both" if one in there else "none"
        raise ValueError(f"expected one of {one} and {other} to be reached from {start}, got {count}")
    return one if one in there else other


def searched(children: Mapping[str, Sequence[str]], start: str) -> dict[str, int]:
    """Returns the nodes that can be reached from `start`, with their distances in edges."""
    distances, front = {start: 0}, [start]
    for node in front:
        for child in children.get(node, ()):
            if child not in distances:
                distances[child] = distances[node] + 1
                front.append(child)
    return distances


def _picked(choices: Bool[Tensor, "b v"], uniforms: Int[Tensor, " b"]) -> Int[Tensor, " b"]:
    """Picks one of each row's choices, -1 if there are none."""
    count = choices.sum(1)
    which = (uniforms * count >> 32) + 1
    place = (choices.cumsum(1) == which[:, None]).long().argmax(1)
    return torch.where(count > 0, place, -1)


def _mark(like: Int[Tensor, "*b"], mark: str) -> Int[Tensor, "*b"]:
    return torch.full_like(like, MARKS.index(mark))


def graph(spec: Graph) -> GeneratedTask:
    """Builds the task."""
    return GeneratedTask(spec, Reachability(spec))
