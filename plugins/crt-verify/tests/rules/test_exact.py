"""Every rule's distribution against the target's, by an enumeration that uses only `Tree` and `rule`."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_verify import Tree, rule
from crt_verify.rules import kseq
from crt_verify.rules.tree_batch import TreeBatch
from crt_verify.tree import batch

from ..strategies import Ids, Pair, Row, pairs

Rows = Callable[[Ids], Row]
Distribution = dict[Ids, float]
Enumerate = Callable[[Tree, Row, Row], Distribution]
Drafts = Iterator[tuple[Tree, float]]

FEW = settings(max_examples=8, deadline=None, derandomize=True, database=None)


# Draft distributions: (children of a node, probability), in draw order.


def independent(q: Row, count: int) -> Iterator[tuple[Ids, float]]:
    for ids in itertools.product(np.flatnonzero(q).tolist(), repeat=count):
        yield ids, math.prod(q[list(ids)])


def without_replacement(q: Row, count: int) -> Iterator[tuple[Ids, float]]:
    support = np.flatnonzero(q).tolist()
    for ids in itertools.permutations(support, min(count, len(support))):
        drawn = [sum(q[[x for x in support if x not in ids[:place]]]) for place in range(len(ids))]
        yield ids, math.prod(q[x] / left for x, left in zip(ids, drawn, strict=True))


def greedy(q: Row, count: int) -> Iterator[tuple[Ids, float]]:
    support = np.flatnonzero(q).tolist()
    likely = sorted(support, key=lambda x: (-q[x], x))[: min(count, len(support)) - 1]
    rest = [x for x in support if x not in likely]
    for x in rest:
        yield (*likely, x), q[x] / sum(q[rest])


def listed(q: Row, count: int) -> Iterator[tuple[Ids, float]]:
    yield tuple(sorted(range(len(q)), key=lambda x: (-q[x], x))[:count]), 1.0


def trees(q: Rows, shape: Ids, children: Callable[[Row, int], Iterator[tuple[Ids, float]]]) -> Drafts:
    """Trees with `shape[d]` children a node at depth d, level by level."""

    def expand(tree: Tree, level: Ids, counts: Ids) -> Drafts:
        if not counts:
            yield tree, 1.0
            return
        for families in itertools.product(*(list(children(q(tree.path(node)), counts[0])) for node in level)):
            parents, tokens = list(tree.parents), list(tree.tokens)
            for node, (ids, _) in zip(level, families, strict=True):
                parents += [node] * len(ids)
                tokens += ids
            below = tuple(range(len(tree), len(parents)))
            chance = math.prod(chance for _, chance in families)
            yield from ((grown, chance * more) for grown, more in expand(Tree(parents, tokens), below, counts[1:]))

    return expand(Tree([-1], [-1]), (0,), shape)


def paths(q: Rows, vocabulary: int, count: int, length: int, *, by_level: bool = False) -> Drafts:
    """Independent paths with a node for each id, unmerged; path after path, or level after level."""
    single = [(ids, math.prod(q(ids[:n])[x] for n, x in enumerate(ids))) for ids in words(vocabulary, length)]
    for chosen in itertools.product([pair for pair in single if pair[1]], repeat=count):
        places = list(itertools.product(range(count), range(length)))
        places.sort(key=lambda place: place[1] if by_level else 0)
        node = {place: number for number, place in enumerate(places, start=1)}
        parents = [-1, *(node.get((path, step - 1), 0) for path, step in places)]
        tokens = [-1, *(chosen[path][0][step] for path, step in places)]
        yield Tree(parents, tokens), math.prod(chance for _, chance in chosen)


def words(vocabulary: int, length: int) -> list[Ids]:
    return list(itertools.product(range(vocabulary), repeat=length))


# The harness.


def emitted(enumerate_rows: Enumerate, drafts: Drafts, p: Rows, q: Rows) -> Distribution:
    """The distribution of emitted rows, over all draft trees."""
    chances: defaultdict[Ids, float] = defaultdict(float)
    mass = 0.0
    for tree, chance in drafts:
        contexts = [tree.path(node) for node in range(len(tree))]
        for ids, each in enumerate_rows(tree, np.stack([*map(p, contexts)]), np.stack([*map(q, contexts)])).items():
            chances[ids] += chance * each
        mass += chance
    assert mass == pytest.approx(1, abs=1e-13)
    return dict(chances)


def distance(chances: Distribution, p: Rows, vocabulary: int) -> float:
    """Total variation from the target's joint distribution, once short rows are continued by the target."""
    longest = max(map(len, chances))
    whole: defaultdict[Ids, float] = defaultdict(float)
    for ids, chance in chances.items():
        for rest in words(vocabulary, longest - len(ids)):
            whole[ids + rest] += chance * joint(p, ids + rest, len(ids))
    return sum(abs(whole[ids] - joint(p, ids, 0)) for ids in words(vocabulary, longest)) / 2


def joint(p: Rows, ids: Ids, start: int) -> float:
    return math.prod(float(p(ids[:n])[ids[n]]) for n in range(start, len(ids)))


def mean(chances: Distribution) -> float:
    return sum(len(ids) * chance for ids, chance in chances.items())


def rows(pair: Pair) -> tuple[Rows, Rows]:
    """Target and draft of a pair."""
    return (lambda path: pair.p(path).numpy()), (lambda path: pair.q(path).numpy())


INDEPENDENT = ("multiround", "kseq", "multi-block", "traversal-iid")
RULES: dict[str, Enumerate] = {
    name: rule(name).distribution for name in ("single", "block", "multiround", "kseq", "multi-block", "recursive")
}
RULES |= {name: rule(name).distribution for name in ("greedy", "target-only")}
RULES |= {"traversal-iid": rule("traversal", replacement=True).distribution}
RULES |= {"traversal": rule("traversal", replacement=False).distribution}
CHILDREN = dict.fromkeys(RULES, without_replacement) | dict.fromkeys(INDEPENDENT, independent)
CHILDREN |= {"greedy": greedy, "target-only": listed}
CHAINS = ((1,), (1, 1), (1, 1, 1))
SHAPES = (*CHAINS[:2], (2,), (3,), (2, 1), (1, 2))


def error(name: str, pair: Pair, shape: Ids) -> float:
    p, q = rows(pair)
    return distance(emitted(RULES[name], trees(q, shape, CHILDREN[name]), p, q), p, pair.vocabulary)


@pytest.mark.parametrize("name", RULES)
@settings(FEW, max_examples=20)
@given(pair=pairs(3), data=st.data())
def test_emitted_rows_have_the_targets_distribution(name: str, pair: Pair, data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(CHAINS if name in ("single", "block") else SHAPES))

    assert error(name, pair, shape) <= 1e-12


@pytest.mark.parametrize("name", ["multiround", "multi-block", "traversal-iid"])
def test_independent_siblings_under_siblings_are_exact(name: str) -> None:
    assert error(name, Pair("free", 5, 3), (2, 2)) <= 1e-12


@pytest.mark.parametrize(
    "name", ["multiround", "kseq", "multi-block", "recursive", "traversal", "greedy", "target-only"]
)
def test_one_node_of_many_children_is_exact(name: str) -> None:
    assert error(name, Pair("free", 7, 5), (3,)) <= 1e-12


@pytest.mark.parametrize("name", INDEPENDENT)
@pytest.mark.parametrize(("by_level", "kind"), [(False, "free"), (True, "zeros-in-target")])
@pytest.mark.parametrize(("vocabulary", "count", "length"), [(3, 2, 2), (2, 3, 2), (2, 2, 3)])
def test_unmerged_paths_are_exact(
    name: str, by_level: bool, kind: str, vocabulary: int, count: int, length: int
) -> None:
    p, q = rows(Pair(kind, 1, vocabulary))

    chances = emitted(RULES[name], paths(q, vocabulary, count, length, by_level=by_level), p, q)

    assert distance(chances, p, vocabulary) <= 1e-12


# Golden values.

P, Q = (0.4, 0.3, 0.2, 0.1), (0.1, 0.2, 0.3, 0.4)
HALF, FLAT = (0.5, 0.25, 0.125, 0.125), (0.25, 0.25, 0.25, 0.25)
COLUMNS = ("kseq", "multiround", "recursive", "greedy", "target-only")


def everywhere(row: tuple[float, ...]) -> Rows:
    return lambda context: np.asarray(row)


def acceptance(name: str, k: int, p: tuple[float, ...] = P, q: tuple[float, ...] = Q) -> float:
    target, draft = everywhere(p), everywhere(q)
    return mean(emitted(RULES[name], trees(draft, (k,), CHILDREN[name]), target, draft)) - 1


@pytest.mark.parametrize(
    ("k", "values"),
    [
        (1, (0.6, 0.6, 0.6, 0.6, 0.1)),
        (2, (0.75, 0.72, 0.764286, 0.766667, 0.3)),
        (3, (0.793950, 0.768, 0.840298, 0.933333, 0.6)),
        (4, (0.831438, 0.7912, 1, 1, 1)),
    ],
)
def test_acceptance_has_its_golden_values(k: int, values: tuple[float, ...]) -> None:
    acceptances = [round(acceptance(name, k), 6) for name in COLUMNS]

    assert acceptances == list(values)


@pytest.mark.parametrize(("k", "values"), [(2, (0.847597, 0.8125, 0.833333)), (3, (0.911253, 0.859375, 0.916667))])
def test_acceptance_under_a_flat_draft_has_its_golden_values(k: int, values: tuple[float, ...]) -> None:
    acceptances = [round(acceptance(name, k, HALF, FLAT), 6) for name in COLUMNS[:3]]

    assert acceptances == list(values)


@pytest.mark.parametrize(
    ("p", "q", "k", "values"),
    [
        (P, Q, 1, (1, 0.6)),
        (P, Q, 2, (1.5, 0.5)),
        (P, Q, 3, (1.939500, 0.409358)),
        (P, Q, 4, (2.314383, 0.359248)),
        (HALF, FLAT, 2, (1.390388, 0.609612)),
        (HALF, FLAT, 3, (1.645012, 0.553949)),
    ],
)
def test_the_scale_of_independent_drafts_has_its_golden_values(
    p: tuple[float, ...], q: tuple[float, ...], k: int, values: tuple[float, float]
) -> None:
    target, draft = (torch.tensor([[chances] * (1 + k)], dtype=torch.float64) for chances in (p, q))

    rho = float(kseq.plan(TreeBatch(batch([Tree([-1, *[0] * k], [-1, *range(k)])]), target, draft)).scale[0, 0])

    overlap = math.fsum(min(y, x / rho) for x, y in zip(p, q, strict=True))
    assert (round(rho, 6), round(overlap, 6)) == values


@pytest.mark.parametrize(
    ("shape", "values"),
    [
        ((1,), (1.7, 1.7, 1.7, 1.7)),
        ((2,), (1.76, 1.76, 1.82, 1.82)),
        ((3,), (1.808, 1.808, 2.0, 2.0)),
        ((1, 1), (2.19, 2.25, 2.19, 2.25)),
        ((2, 1), (2.292, 2.352, 2.394, 2.454)),
        ((2, 2), (2.3376, 2.3856, 2.4924, 2.5284)),
        ((3, 1), (2.3736, 2.4336, 2.7, 2.76)),
    ],
)
def test_mean_emitted_ids_have_their_golden_values(shape: Ids, values: tuple[float, ...]) -> None:
    p, q = everywhere((0.5, 0.3, 0.2)), everywhere((0.2, 0.3, 0.5))

    names = ("multiround", "traversal-iid", "recursive", "traversal")
    means = [mean(emitted(RULES[name], trees(q, shape, CHILDREN[name]), p, q)) for name in names]

    assert means == pytest.approx(values, abs=1e-12)


@pytest.mark.parametrize(("name", "accepted"), [("single", 10 / 9), ("block", 11 / 9), ("traversal", 11 / 9)])
def test_a_chain_of_two_has_its_golden_values(name: str, accepted: float) -> None:
    p, q = everywhere((1 / 3, 2 / 3)), everywhere((2 / 3, 1 / 3))

    chances = emitted(RULES[name], trees(q, (1, 1), independent), p, q)

    assert mean(chances) - 1 == pytest.approx(accepted, abs=1e-14)


# Relations between rules.

BETTER = (("block", "single"), ("traversal", "recursive"), ("traversal-iid", "multiround"))


@pytest.mark.parametrize(("better", "usual"), BETTER)
@FEW
@given(pair=pairs(3), data=st.data())
def test_leaves_first_emits_no_less(better: str, usual: str, pair: Pair, data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(((1, 1), (1, 1, 1)) if better == "block" else ((1, 1), (2, 1), (1, 2))))
    p, q = rows(pair)

    many, few = (mean(emitted(RULES[name], trees(q, shape, CHILDREN[name]), p, q)) for name in (better, usual))

    assert many >= few - 1e-12


@pytest.mark.parametrize("name", ["kseq", "multi-block", "recursive"])
@FEW
@given(pair=pairs(3))
def test_more_children_are_accepted_no_less_often(name: str, pair: Pair) -> None:
    p, q = (tuple(row(()).tolist()) for row in rows(pair))
    rounded = 3 * 2 * 2.0**-kseq.HALVINGS  # rho is up to k - 1 steps too large, and the slope is at most k

    alone, *more = [acceptance(name, k, p, q) for k in (1, 2, 3)]

    assert alone == pytest.approx(np.minimum(p, q).sum(), abs=1e-12)
    assert alone <= more[0] + rounded
    assert more[0] <= more[1] + rounded


@pytest.mark.parametrize(
    "name", ["multiround", "kseq", "multi-block", "recursive", "traversal", "traversal-iid", "greedy"]
)
@FEW
@given(pair=pairs(3))
def test_on_a_chain_every_rule_is_single_or_block(name: str, pair: Pair) -> None:
    p, q = rows(pair)
    usual = "block" if name.startswith(("traversal", "multi-block")) else "single"

    chances, other = (emitted(RULES[rule], trees(q, (1, 1), independent), p, q) for rule in (name, usual))

    assert all(abs(chances.get(ids, 0) - other.get(ids, 0)) <= 1e-12 for ids in chances.keys() | other.keys())


@pytest.mark.parametrize("name", sorted(set(RULES) - {"target-only"}))
@settings(FEW, max_examples=3)
@given(pair=pairs(3, ("same", "one-ulp")))
def test_a_draft_equal_to_the_target_is_accepted_whole(name: str, pair: Pair) -> None:
    p, q = rows(pair)

    chances = emitted(RULES[name], trees(q, (1, 1, 1), CHILDREN[name]), p, q)

    assert sum(chance for ids, chance in chances.items() if len(ids) < 4) <= 1e-12


@pytest.mark.parametrize("name", RULES)
@settings(FEW, max_examples=3)
@given(pair=pairs(3, ("sure-target",)))
def test_a_one_hot_target_is_followed_and_nothing_else(name: str, pair: Pair) -> None:
    p, q = rows(pair)

    chances = emitted(RULES[name], trees(q, (1, 1), CHILDREN[name]), p, q)

    assert distance(chances, p, 3) <= 1e-14
    assert all(joint(p, ids, 0) == 1 for ids in chances)


# Rules that are broken on purpose are caught.


def broken(enumerate_rows: Enumerate, children: Callable[[Row, int], Iterator[tuple[Ids, float]]], k: int = 2) -> float:
    p, q = everywhere(P), everywhere(Q)
    return distance(emitted(enumerate_rows, trees(q, (k,), children), p, q), p, 4)


def one_residual(tree: Tree, p: Row, q: Row) -> Distribution:
    """Every sibling against p / q, and (p - q)_+ once all are rejected."""
    chances: defaultdict[Ids, float] = defaultdict(float)
    reached = 1.0
    for node in tree.children(0):
        x = tree.tokens[node]
        accept = min(1.0, p[0, x] / q[0, x])
        for y, weight in enumerate(p[node].tolist()):
            chances[x, y] += reached * accept * weight
        reached *= 1 - accept
    rest = np.maximum(p[0] - q[0], 0)
    for y, weight in enumerate((rest / rest.sum()).tolist()):
        chances[y,] += reached * weight
    return dict(chances)


@pytest.mark.parametrize(("children", "error"), [(independent, 0.14), (without_replacement, 0.17)])
def test_one_residual_for_all_siblings_is_caught(
    children: Callable[[Row, int], Iterator[tuple[Ids, float]]], error: float
) -> None:
    assert round(broken(one_residual, children), 2) == error


def test_a_draft_row_before_top_k_is_caught() -> None:
    kept = np.array([0, 0, 3 / 7, 4 / 7])
    p, q = everywhere(P), everywhere(tuple(kept))

    def unprocessed(tree: Tree, p: Row, q: Row) -> Distribution:
        return rule("recursive").distribution(tree, p, np.tile(Q, (len(q), 1)))

    assert distance(emitted(unprocessed, trees(q, (2,), without_replacement), p, q), p, 4) > 0.01


def test_a_draft_row_that_lost_its_top_k_mass_is_refused() -> None:
    with pytest.raises(ValueError, match="row 0, node 0: the draft's distribution does not sum to 1"):
        rule("recursive").distribution(Tree([-1, 0], [-1, 3]), [P, P], [(0, 0, 0.3, 0.4)] * 2)


def test_children_sorted_by_id_are_caught() -> None:
    def sorted_children(tree: Tree, p: Row, q: Row) -> Distribution:
        return rule("recursive").distribution(Tree(tree.parents, (-1, *sorted(tree.tokens[1:]))), p, q)

    assert broken(sorted_children, without_replacement) > 0.01


def test_siblings_made_distinct_are_caught() -> None:
    def distinct(tree: Tree, p: Row, q: Row) -> Distribution:
        tokens = tuple(dict.fromkeys(tree.tokens[1:]))
        few = Tree((-1, *[0] * len(tokens)), (-1, *tokens))
        return rule("multiround").distribution(few, p[: len(few)], q[: len(few)])

    assert broken(distinct, independent) > 0.01


@pytest.mark.parametrize(("name", "children"), [("recursive", independent), ("multiround", without_replacement)])
def test_the_wrong_kind_of_draws_is_caught(
    name: str, children: Callable[[Row, int], Iterator[tuple[Ids, float]]]
) -> None:
    assert broken(RULES[name], children, k=3) > 0.01


# Names.


@pytest.mark.parametrize(
    ("name", "keywords", "reason"),
    [
        ("sngle", {}, "expected one of single, .*, got 'sngle'"),
        ("single", {"replacement": True}, "expected no keywords for 'single', got replacement"),
        ("traversal", {}, "expected replacement=True or replacement=False for 'traversal'"),
    ],
)
def test_an_unknown_rule_is_named(name: str, keywords: dict[str, bool], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        rule(name, **keywords)


@pytest.mark.parametrize("name", ["single", "block"])
def test_a_rule_of_chains_refuses_branches(name: str) -> None:
    with pytest.raises(ValueError, match="row 0, node 0: the rule verifies chains"):
        rule(name).distribution(Tree([-1, 0, 0], [-1, 0, 1]), [P] * 3, [Q] * 3)
