"""Specs of the generated datasets of reasoning traces, free of torch."""

from __future__ import annotations

import abc
from typing import ClassVar, Literal

import attrs

from crtcore.kinds import DatasetSpec
from crtcore.spec import FieldError, at_least, between

DELIMITERS = 3
"""Delimiters of a row."""


@attrs.frozen(kw_only=True)
class TaskSpec(DatasetSpec):
    """Base of the specs of generated tasks: sizes of splits and a seed.

    A hash of the problem, independent of the seed, determines its split, so that no problem is in two splits. Within a
    split problems are independent draws, and one may occur twice.
    """

    form: ClassVar[str] = "trace"

    train: int = attrs.field(default=20000, validator=at_least(1))
    """Problems to train on."""
    validation: int = attrs.field(default=1000, validator=at_least(1))
    """Problems held out for choices."""
    test: int = attrs.field(default=2000, validator=at_least(1))
    """Problems held out for the final numbers."""
    seed: int = 0
    """Seed of the problems; the run's seed does not change them."""

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Ids of a row; shorter rows are padded with -1."""
        return (self.longest + DELIMITERS,)

    @property
    @abc.abstractmethod
    def longest(self) -> int:
        """The most ids of prompt, steps and solution together."""


@attrs.frozen(kw_only=True)
class AffineChain(TaskSpec):
    """A chain of operations modulo a small number, with steps among filler words.

    x_0 is uniform below `modulus`, each operation uniform over +, − and ×, its operand uniform (over the units for ×).
    The prompt is `x_0 op_1 a_1 … op_n a_n =`, step i is fillers and `x_{i-1} op_i a_i → x_i ;`, the solution `# x_n`.
    With p the modulus and u its units, a problem has log2 p + steps · (log2 3 + (2 log2 p + log2 u) / 3) bits, fillers
    have none, or steps · verbosity · log2 fillers; given the problem, nothing else has any.
    """

    implementation: ClassVar[str] = "crt_latent.tasks.affine:affine_chain"

    modulus: int = attrs.field(default=10, validator=at_least(2))
    """Values are below this, one id each."""
    steps: int = attrs.field(default=4, validator=at_least(1))
    """Operations of a problem."""
    verbosity: int = attrs.field(default=2, validator=at_least(0))
    """Filler words before each step; a step has six ids more."""
    fillers: int = attrs.field(default=0, validator=at_least(0))
    """Words that every filler is uniform over; 0: the same words in every step."""

    @property
    def longest(self) -> int:
        """Two ids an operation and two more, the steps, and two of the solution."""
        return 2 * self.steps + 2 + self.steps * (self.verbosity + 6) + 2


@attrs.frozen(kw_only=True)
class Arithmetic(TaskSpec):
    """Sums or products of two numbers, in the steps of written arithmetic, least significant digit first.

    Both numbers are uniform over those with exactly `digits` digits. The steps of a sum are
    `a_i b_i c_i → s_i c_{i+1} ;` for each digit, with carries c; those of a product `b_i → a b_i → r_i ;` for each
    digit of the second number, with r_i the running sum. A problem has 2 log2 (9 · 10^(digits - 1)) bits; given it,
    nothing else has any. a + b and b + a are in the same split.
    """

    implementation: ClassVar[str] = "crt_latent.tasks.arithmetic:arithmetic"

    operation: Literal["addition", "multiplication"] = "addition"
    """Operation on the numbers."""
    digits: int = attrs.field(default=4, validator=between(1, 9))
    """Digits of each; 4 by 4 multiplication is the usual hard case."""

    @property
    def solution(self) -> int:
        """Digits of the result."""
        return self.digits + 1 if self.operation == "addition" else 2 * self.digits

    @property
    def longest(self) -> int:
        """The numbers and two marks, the steps, and the result."""
        step = 7 if self.operation == "addition" else 3 * self.digits + 5
        return 2 * self.digits + 2 + self.digits * step + self.solution


@attrs.frozen(kw_only=True)
class Deduction(TaskSpec):
    """Whether an entity falls under a concept, by a chain of `every c c' .`, among distracting chains.

    A concept is a name or its negation, and either is one id, `c` or `not-c`. Chains of h + 1 concepts and an end share
    no name, except that the second chain ends in the opposite of the first. Names and signs are uniform, and there are
    as many names as a problem has. Facts are shuffled; the prompt ends on `given e c_0 . is e c ?`, c being the name of
    the first end. The steps quote a fact and say what follows from it, `every c_0 c_1 . so e c_1 .`, up to the end; the
    solution is `true` or `false`, alternating over samples. Problems with the same links between concepts, ends apart,
    are in the same split. With N names and F facts, names have log2 N! bits, signs N, one of which is the answer, the
    entity log2 3, and the order of the facts log2 F!, less log2 (r - 1)! for r distractors, which are interchangeable
    from the second on. Given the prompt, nothing else has any.
    Source: Saparov and He (2022), arXiv:2210.01240, in a form of our own: ends are concepts like others, not properties
    apart; no question is negated; there is no verb between a subject and its predicate.
    """

    implementation: ClassVar[str] = "crt_latent.tasks.deduction:deduction"

    hops: int = attrs.field(default=3, validator=at_least(1))
    """Steps from the first concept to the last of a chain."""
    distractors: int = attrs.field(default=2, validator=at_least(0))
    """Distracting chains; without any, the only end in the prompt gives the answer away."""

    @property
    def names(self) -> int:
        """Names of concepts: one for each in a chain, and for each end, of which the first two share theirs."""
        return (self.distractors + 1) * (self.hops + 1) + max(self.distractors, 1)

    @property
    def longest(self) -> int:
        """Facts, premise and question of four ids each; each needed fact and what follows; a word."""
        return 4 * (self.distractors + 1) * (self.hops + 1) + 8 + 8 * (self.hops + 1) + 1


@attrs.frozen(kw_only=True)
class Graph(TaskSpec):
    """Which of two nodes can be reached, by a path of exactly `hops` edges in a random acyclic graph.

    Nodes 0 and 1 are roots. Each further node draws its number of parents from a Poisson distribution of mean 1.5,
    and their candidates: with probability 0.35 those that are not below root 1, with 0.35 those not below root 0, else
    all; then parents without replacement, weighted by 1.5 times their depth plus 1. The prompt lists the edges,
    shuffled and under shuffled names, and asks whether root 0 is A or B: A is below root 0 alone and `hops` edges away,
    B below root 1 alone. The steps are a shortest path, by the older nodes where there are several; the solution is A's
    name. Graphs with no such pair, or over two edges a node, are drawn again. Names and order draw log2 (nodes! ·
    edges!) bits more than the graph; which of A and B comes first is balanced exactly. Given the prompt, only the
    choice among several shortest paths is open.
    Source: after the appendix of Hao et al. (2024), arXiv:2412.06769, from memory; not the published generator.
    """

    implementation: ClassVar[str] = "crt_latent.tasks.graph:graph"

    nodes: int = attrs.field(default=23, validator=between(4, 31))
    """Nodes of a graph, the two roots among them."""
    hops: int = attrs.field(default=3, validator=at_least(1))
    """Edges of the shortest path from root 0 to A."""

    @property
    def edges(self) -> int:
        """The most edges of a graph that is kept."""
        return 2 * self.nodes

    @property
    def longest(self) -> int:
        """Five ids an edge and six of the question, four a hop, and a name."""
        return 5 * self.edges + 6 + 4 * self.hops + 1


def _at_most_expansions(spec: Maze, attribute: attrs.Attribute[int], value: int) -> None:
    if value > spec.expansions:
        raise FieldError(attribute.name, f"expected at most `expansions`, {spec.expansions}, got {value}")


@attrs.frozen(kw_only=True)
class Maze(TaskSpec):
    """A path through four rooms of 3 by 3 cells, with one carried key at a time.

    Each of the four walls between two rooms has a doorway at a uniform place; one to three of them are locked, in
    distinct colours. Keys, start and goal lie in distinct uniform cells. A maze is kept if every shortest path takes a
    key and A* solves it in `fewest` to `expansions` expansions; ties are broken at random. The prompt is a list of
    facts, the steps are `cell key opened cost` for each expansion, the solution is the list of moves: it is valid if
    all moves are allowed and end at the goal, shortest or not. Before rejection a problem draws log2 (3⁴ · 3) + log2
    (4! / (4 - c)! · 3! / ((3 - c)! c!) · 36! / (34 - c)!) bits, c being the number of locks; given it, the order of the
    search is open.
    """

    implementation: ClassVar[str] = "crt_latent.tasks.maze:maze"

    expansions: int = attrs.field(default=64, validator=between(2, 1024))
    """States that the search may expand; four ids each."""
    fewest: int = attrs.field(default=2, validator=[at_least(2), _at_most_expansions])
    """States that it has to expand."""

    @property
    def longest(self) -> int:
        """Four doors, three keys, two ends; the expansions; and a move less than those."""
        return 4 * 5 + 3 * 4 + 2 * 3 + 4 * self.expansions + self.expansions - 1
