"""Verdicts for given uniforms: they follow the distribution, change where it does, and report faults.

Axes: b batch or uniforms, m nodes (the root counted), v vocabulary.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crt_verify import Tree, rule
from crt_verify.rules import NAMES, Rule
from crt_verify.rules.plan import Plan
from crt_verify.rules.tree_batch import TreeBatch
from crt_verify.tree import Trees, batch
from crt_verify.verdict import FAULTS, Fault, Verdict, check

from ..strategies import Draft, Ids, drafts

FEW = settings(max_examples=8, deadline=None, derandomize=True, database=None)
MANY = settings(FEW, max_examples=20)
ACCEPT, FINAL = 2**24, 2**32
POINTS = 2**14
"""Combinations of evenly spread uniforms."""
RULES: dict[str, Rule] = {name: rule(name) for name in NAMES if name != "traversal"}
RULES |= {"traversal": rule("traversal", replacement=False), "traversal-iid": rule("traversal", replacement=True)}
REPEATS = ("multiround", "kseq", "multi-block", "traversal-iid", "target-only")
CHAIN, FORK = Tree([-1, 0, 1], [-1, 2, 0]), Tree([-1, 0, 0, 1], [-1, 2, 1, 0])
P, Q = (0.4, 0.3, 0.2, 0.1), (0.1, 0.2, 0.3, 0.4)


def random_distributions(seed: int, *shape: int, zeros: float = 0.0) -> Tensor:
    """Random rows, some of their entries 0."""
    generator = torch.Generator().manual_seed(seed)
    weights = -torch.rand(shape, generator=generator, dtype=torch.float64).log()
    never = torch.rand(shape, generator=generator) < zeros
    always = torch.randint(shape[-1], (*shape[:-1], 1), generator=generator)
    weights = weights.masked_fill(never.scatter(-1, always, False), 0)
    return weights / weights.sum(-1, keepdim=True)


def random_tree(seed: int, nodes: int, vocabulary: int, *, chain: bool = False) -> Tree:
    """A tree of distinct siblings, or fewer nodes."""
    generator = torch.Generator().manual_seed(seed)
    parents, tokens, taken = [-1], [-1], set()
    for node in range(1, nodes):
        parent = node - 1 if chain else int(torch.randint(node, (), generator=generator))
        token = int(torch.randint(vocabulary, (), generator=generator))
        if parent < len(parents) and (parent, token) not in taken:
            taken.add((parent, token))
            parents.append(parent)
            tokens.append(token)
    return Tree(parents, tokens)


def of(name: str) -> Tree:
    """The tree that a rule is tested on."""
    return CHAIN if RULES[name].chain else FORK


def verified(tested: Rule, tree: Tree, p: Tensor, q: Tensor, accept: Tensor, final: Tensor) -> Verdict:
    """The verdicts on one tree, for many uniforms."""
    count = len(accept)
    one = batch([tree])
    trees = Trees(*(field.expand(count, *field.shape[1:]) for field in one))
    return tested.verify(trees, p.expand(count, -1, -1), q.expand(count, -1, -1), accept, final)


def emitted(tree: Tree, verdict: Verdict) -> list[tuple[int, ...]]:
    ends = zip(verdict.path.tolist(), verdict.length.tolist(), verdict.final.tolist(), strict=True)
    return [(*(tree.tokens[node] for node in path[:length]), x) for path, length, x in ends]


def drafted(name: str, **options: Any) -> st.SearchStrategy[Draft]:
    """Trees that a rule can verify."""
    return drafts(chain=RULES[name].chain, repeats=name in REPEATS, **options)


def strata(count: int, top: int) -> Tensor:
    """The middles of `count` equal parts of the integers below `top`."""
    return ((torch.arange(count) + 0.5) / count * top).long()


def shares(of_each: list[Ids]) -> dict[Ids, float]:
    """The frequency of each."""
    return {ids: seen / len(of_each) for ids, seen in Counter(of_each).items()}


def off_path(tested: Rule, tree: Tree, p: Tensor, q: Tensor) -> float:
    """How far accepted ids over a grid of accept uniforms are from the distribution, in units of the grid's error.

    A node is accepted by the grid points below its edge, which is off by half a point at most. A walk is a product over
    the nodes, so it is off by at most as many halves as there are nodes; ids of several nodes add these up.
    """
    nodes = len(tree) - 1
    count = math.floor(POINTS ** (1 / max(nodes, 1)))
    grid = torch.cartesian_prod(strata(1, ACCEPT), *[strata(count, ACCEPT)] * nodes)
    uniforms = grid.reshape(-1, len(tree))  # the root's is not used
    verdict = verified(tested, tree, p, q, uniforms, torch.zeros_like(uniforms))
    check(verdict)
    seen, exact = shares([ids[:-1] for ids in emitted(tree, verdict)]), Counter[Ids]()
    for ids, chance in tested.distribution(tree, p, q).items():
        exact[ids[:-1]] += chance
    twins = Counter(tree.path(node) for node in range(len(tree)))
    room = {ids: twins[ids] * nodes / (2 * count) + 1e-12 for ids in twins}
    return max(abs(seen.get(ids, 0) - exact[ids]) / room[ids] for ids in twins)


def off_final(tested: Rule, tree: Tree, p: Tensor, q: Tensor, uniforms: Tensor) -> float:
    """The same for the last id, at fixed accept uniforms: an id is drawn by the final uniforms between two edges."""
    final = strata(4096, FINAL)[:, None].expand(-1, len(tree))
    verdict = verified(tested, tree, p, q, uniforms.expand(4096, -1), final)
    check(verdict)
    rows = emitted(tree, verdict)
    exact = {ids[-1]: chance for ids, chance in tested.distribution(tree, p, q).items() if ids[:-1] == rows[0][:-1]}
    seen, whole = shares([ids[-1:] for ids in rows]), math.fsum(exact.values())
    assert {ids[:-1] for ids in rows} == {rows[0][:-1]}
    return max(abs(seen.get((x,), 0) - exact.get(x, 0) / whole) * 4096 for x in range(p.shape[-1]))


@pytest.mark.parametrize("name", RULES)
@FEW
@given(st.data())
def test_accepted_ids_over_even_uniforms_follow_the_distribution(name: str, data: st.DataObject) -> None:
    draft = data.draw(drafted(name, most=3))

    assert off_path(RULES[name], draft.tree, draft.p, draft.q) <= 1


@pytest.mark.parametrize("name", RULES)
@FEW
@given(st.data())
def test_the_last_id_over_even_uniforms_follows_the_distribution(name: str, data: st.DataObject) -> None:
    draft = data.draw(drafted(name))
    uniforms = torch.tensor(
        data.draw(st.lists(st.integers(0, ACCEPT - 1), min_size=len(draft.tree), max_size=len(draft.tree)))
    )

    assert off_final(RULES[name], draft.tree, draft.p, draft.q, uniforms) <= 1 + 1e-9


def bent(name: str, **fields: Callable[[Tensor], Tensor]) -> Rule:
    """A rule whose verdicts follow another plan than its distribution."""
    tested = RULES[name]

    def plan(batch: TreeBatch) -> Plan:
        plan = tested.plan(batch)
        many = len(batch.rows) > 1
        return plan._replace(**{field: change(getattr(plan, field)) for field, change in fields.items() if many})

    return attrs.evolve(tested, plan=plan)


def crossed(name: str) -> tuple[Tree, Tensor, Tensor]:
    """A tree of two drafted nodes, neither of them certain."""
    tree = Tree([-1, 0, 1], [-1, 3, 2]) if RULES[name].chain else Tree([-1, 0, 0], [-1, 3, 2])
    return tree, torch.tensor([P] * 3).double(), torch.tensor([Q] * 3).double()


@pytest.mark.parametrize("name", RULES)
def test_a_node_accepted_a_tenth_too_often_is_caught(name: str) -> None:
    tested = bent(name, gain=lambda gain: 1.1 * gain)

    assert off_path(tested, *crossed(name)) > 1


@pytest.mark.parametrize("name", sorted(set(RULES) - {"target-only"}))
def test_a_last_id_drawn_from_the_target_is_caught(name: str) -> None:
    target = {"rest": lambda rest: torch.tensor(P).expand_as(rest)}  # whose rest is the residual itself
    tested = bent(name, **(target if name == "multi-block" else {"scale": torch.zeros_like}))

    assert off_final(tested, *crossed(name), torch.full((3,), ACCEPT - 1)) > 1


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("own", [True, False])
def test_the_last_id_is_drawn_by_the_final_uniform_where_the_walk_ends(name: str, own: bool) -> None:
    tested, zeros = RULES[name], torch.zeros(64, 3, dtype=torch.int64)
    end = int(verified(tested, *crossed(name), zeros, zeros).path[0].max())
    moved = (torch.arange(3) == end) == own

    verdict = verified(tested, *crossed(name), zeros, torch.where(moved, strata(64, FINAL)[:, None], 0))

    assert set(verdict.final.tolist()) == ({0, 1, 2, 3} if own else {0})


def test_a_uniform_used_twice_is_caught() -> None:
    tree, p, q = Tree([-1, 0], [-1, 3]), torch.tensor([P, P]).double(), torch.tensor([Q, Q]).double()
    uniforms = strata(POINTS, ACCEPT)[:, None].expand(-1, 2)

    seen = shares(emitted(tree, verified(RULES["single"], tree, p, q, uniforms, uniforms << 8)))

    exact = RULES["single"].distribution(tree, p, q)
    assert max(abs(seen.get(ids, 0) - chance) for ids, chance in exact.items()) > 0.01


@pytest.mark.parametrize("name", RULES)
@FEW
@given(seed=st.integers(0, 2**31))
def test_acceptance_changes_at_the_probability_of_the_distribution(name: str, seed: int) -> None:
    tree = Tree([-1, 0], [-1, seed % 3])
    p, q = random_distributions(seed, 2, 3), random_distributions(seed + 1, 2, 3)
    accepted = sum(chance for ids, chance in RULES[name].distribution(tree, p, q).items() if len(ids) == 2)
    edge = math.ceil(min(accepted, 1.0) * ACCEPT)  # the first uniform that is rejected
    uniforms = torch.tensor([u for u in (edge - 1, edge, edge + 1) if 0 <= u < ACCEPT])

    verdict = verified(
        RULES[name], tree, p, q, torch.stack([uniforms, uniforms], 1), torch.zeros(len(uniforms), 2).long()
    )

    assert verdict.length.tolist() == [int(u < edge) for u in uniforms.tolist()]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_half_is_accepted_by_half_of_the_uniforms(name: str, dtype: torch.dtype) -> None:
    p, q = torch.tensor([[0.5, 0.5], [0.5, 0.5]], dtype=dtype), torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=dtype)
    uniforms = ACCEPT // 2 + torch.tensor([-1, 0, 1])

    verdict = verified(
        RULES[name], Tree([-1, 0], [-1, 0]), p, q, torch.stack([uniforms, uniforms], 1), uniforms[:, None].expand(-1, 2)
    )

    assert verdict.length.tolist() == [1, 0, 0]


def edge_case(name: str) -> tuple[Tree, Tensor, Tensor]:
    """Drafted ids that are impossible under the target."""
    tree = of(name)
    return tree, torch.tensor([[0.0, 0, 0, 1]] * len(tree)), torch.full((len(tree), 4), 0.25)


@pytest.mark.parametrize("name", RULES)
def test_an_impossible_id_is_rejected_by_uniform_zero(name: str) -> None:
    tree, p, q = edge_case(name)
    zeros = torch.zeros(1, len(tree), dtype=torch.int64)

    verdict = verified(RULES[name], tree, p, q, zeros, zeros)

    assert emitted(tree, verdict) == [(3,)]


@pytest.mark.parametrize("name", RULES)
def test_a_comparison_that_is_not_strict_is_caught(name: str) -> None:
    def not_strict(batch: Any) -> Any:
        plan = RULES[name].plan(batch)
        return plan._replace(gain=plan.gain.nextafter(torch.tensor(math.inf).double()))

    tree, p, q = edge_case(name)
    zeros = torch.zeros(1, len(tree), dtype=torch.int64)

    verdict = verified(attrs.evolve(RULES[name], plan=not_strict), tree, p, q, zeros, zeros)

    assert emitted(tree, verdict) != [(3,)]


def random_batch(name: str, seed: int, size: int = 5) -> tuple[list[Tree], Tensor, Tensor, Tensor, Tensor]:
    """Ragged trees with rows and uniforms for seven nodes."""
    trees = [random_tree(seed + row, 1 + (seed + row) % 7, 4, chain=RULES[name].chain) for row in range(size)]
    generator = torch.Generator().manual_seed(seed)
    p, q = random_distributions(seed, size, 7, 4, zeros=0.3), random_distributions(seed + 1, size, 7, 4)
    accept, final = (torch.randint(top, (size, 7), generator=generator) for top in (ACCEPT, FINAL))
    return trees, p, q, accept, final


def padded(trees: list[Tree], nodes: int) -> Trees:
    short = batch(trees)
    fill = (0, nodes - short.parents.shape[1])
    parents, tokens = (torch.nn.functional.pad(field, fill, value=-1) for field in (short.parents, short.tokens))
    return Trees(parents, tokens, short.nodes)


def stacked(several: list[Draft], seed: int) -> tuple[list[Tree], Tensor, Tensor, Tensor, Tensor]:
    """Ragged trees with rows and uniforms for seven nodes; padded rows are NaN."""
    generator = torch.Generator().manual_seed(seed)
    p, q = torch.full((2, len(several), 7, several[0].pair.vocabulary), math.nan, dtype=torch.float64)
    for row, draft in enumerate(several):
        p[row, : len(draft.parents)], q[row, : len(draft.parents)] = draft.p, draft.q
    accept, final = (torch.randint(top, p.shape[:2], generator=generator) for top in (ACCEPT, FINAL))
    return [draft.tree for draft in several], p, q, accept, final


@pytest.mark.parametrize("name", RULES)
@FEW
@given(seed=st.integers(0, 2**31), data=st.data())
def test_neighbours_order_and_padding_change_nothing(name: str, seed: int, data: st.DataObject) -> None:
    several = data.draw(st.lists(drafted(name, vocabulary=3), min_size=2, max_size=4))
    trees, p, q, accept, final = stacked(several, seed)

    together = RULES[name].verify(padded(trees, 7), p, q, accept, final)

    check(together)
    backwards = RULES[name].verify(padded(trees[::-1], 7), *(field.flip(0) for field in (p, q, accept, final)))
    assert all(torch.equal(one, other.flip(0)) for one, other in zip(together, backwards, strict=True))
    for row, tree in enumerate(trees):
        fields = (field[row : row + 1, : len(tree)] for field in (p, q, accept, final))
        alone = RULES[name].verify(batch([tree]), *fields)
        assert torch.equal(alone.path[0], together.path[row, : len(tree) - 1])
        assert (together.path[row, len(tree) - 1 :] == -1).all()
        assert [int(x) for x in alone[1:]] == [int(x[row]) for x in together[1:]]


@pytest.mark.parametrize("name", RULES)
def test_work_by_shape_gives_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [random_batch(name, seed) for seed in range(20)]
    sparing = [RULES[name].verify(padded(trees, 7), *rest) for trees, *rest in cases]

    monkeypatch.setattr(TreeBatch, "runs_ahead", True)
    by_shape = [RULES[name].verify(padded(trees, 7), *rest) for trees, *rest in cases]

    for one, other in zip(sparing, by_shape, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(one, other, strict=True))


@pytest.mark.parametrize("name", RULES)
@FEW
@given(order=st.permutations(range(4)), data=st.data())
def test_other_names_for_ids_change_nothing_else(name: str, order: list[int], data: st.DataObject) -> None:
    draft = data.draw(drafted(name, vocabulary=4))
    tree, places = draft.tree, torch.tensor(order).argsort()
    renamed = Tree(tree.parents, (-1, *(order[x] for x in tree.tokens[1:])))

    chances = RULES[name].distribution(renamed, draft.p[:, places], draft.q[:, places])

    original = RULES[name].distribution(tree, draft.p, draft.q)
    expected = {tuple(order[x] for x in ids): chance for ids, chance in original.items()}
    assert chances == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("name", RULES)
@MANY
@given(seed=st.integers(0, 2**31), missed=st.sampled_from([0.0, 1e-6, -1e-6]), data=st.data())
def test_emitted_ids_are_possible_and_the_path_goes_down(
    name: str, seed: int, missed: float, data: st.DataObject
) -> None:
    trees, p, q, accept, final = stacked([data.draw(drafted(name))], seed)
    tree, p, q = trees[0], p * (1 + missed), q * (1 - missed)

    verdict = RULES[name].verify(padded(trees, 7), p, q, accept, final)

    path = verdict.path[0, : int(verdict.length)].tolist()
    assert [tree.parents[node] for node in path] == [0, *path][: len(path)]
    ids = (*(tree.tokens[node] for node in path), int(verdict.final))
    assert RULES[name].distribution(tree, p[0, : len(tree)], q[0, : len(tree)])[ids] > 0
    assert all(p[0, node, x] > 0 for node, x in zip((0, *path), ids, strict=True))


def walk(tree: Tree, p: Tensor, *, merged: bool) -> Ids:
    """The most likely id after another, down the tree and one further; `merged` nodes with the same ids are one."""
    ids: Ids = ()
    at = [0]
    while at:
        ids += (int(p[at[0]].argmax()),)
        below = [child for node in at for child in tree.children(node) if tree.tokens[child] == ids[-1]]
        at = below if merged else below[:1]
    return ids


@pytest.mark.parametrize("name", RULES)
@MANY
@given(seed=st.integers(0, 2**31), data=st.data())
def test_a_sure_target_is_walked_for_all_uniforms(name: str, seed: int, data: st.DataObject) -> None:
    trees, p, q, accept, final = stacked([data.draw(drafted(name, kinds=("sure-target",)))], seed)

    verdict = RULES[name].verify(padded(trees, 7), p, q, accept, final)

    assert emitted(trees[0], verdict) == [walk(trees[0], p[0], merged=name == "kseq")]


@pytest.mark.parametrize("name", sorted(set(RULES) - {"target-only"}))
@MANY
@given(drafts(chain=True, kinds=("same", "one-ulp")))
def test_a_draft_equal_to_the_target_accepts_a_chain_whole(name: str, draft: Draft) -> None:
    uniforms = torch.full((1, len(draft.tree)), ACCEPT - 1)

    verdict = verified(RULES[name], draft.tree, draft.p, draft.q, uniforms, uniforms)

    assert verdict.length.tolist() == [len(draft.tree) - 1]


def test_the_draft_row_of_a_childless_node_is_not_read() -> None:
    for name, tested in RULES.items():
        tree = of(name)
        p, q = random_distributions(0, len(tree), 3), random_distributions(1, len(tree), 3)
        spoilt = q.clone()
        spoilt[[node for node in range(len(tree)) if not tree.children(node)]] = math.nan

        assert tested.distribution(tree, p, spoilt) == tested.distribution(tree, p, q)


@pytest.mark.parametrize("spoil", [math.nan, math.inf, -math.inf, -0.25])
def test_a_rule_that_does_not_read_the_draft_does_not_depend_on_it(spoil: float) -> None:
    tested, p, q = RULES["target-only"], torch.tensor([P] * 4), torch.tensor([Q] * 4)
    spoilt = torch.where(torch.arange(4) == 3, spoil, q)

    assert tested.distribution(FORK, p, spoilt) == tested.distribution(FORK, p, q)


@pytest.mark.parametrize(
    ("row", "x", "reason"),
    [
        ((math.nan, 0.2, 0.3, 0.4), 3, Fault.DRAFT_ENTRY),
        ((-0.1, 0.4, 0.3, 0.4), 3, Fault.DRAFT_ENTRY),
        ((math.inf, 0.2, 0.3, 0.4), 3, Fault.DRAFT_ENTRY),
        ((0.1, 0.2, 0.2, 0.4), 3, Fault.DRAFT_SUM),
        ((0.0, 0.3, 0.3, 0.4), 0, Fault.RULED_OUT),
        (Q, 4, Fault.RULED_OUT),
    ],
)
@pytest.mark.parametrize("name", sorted(set(RULES) - {"target-only"}))
def test_a_faulty_draft_is_named(name: str, row: tuple[float, ...], x: int, reason: int) -> None:
    p, q = torch.tensor([P] * 3), torch.tensor([Q, row, Q])
    zeros = torch.zeros(1, 3, dtype=torch.int64)
    uniforms = torch.tensor([[0, 0, ACCEPT - 1]])  # the second id is rejected, so that the row is read

    verdict = verified(RULES[name], Tree([-1, 0, 1], [-1, 0, x]), p, q, uniforms, zeros)

    assert (verdict.final.item(), verdict.length.item()) == (-1, 0)
    with pytest.raises(ValueError, match=f"row 0, node 1: {FAULTS[reason]}"):
        check(verdict)


@pytest.mark.parametrize(
    ("row", "reason"), [((math.nan, 0.5, 0.3, 0.2), Fault.TARGET_ENTRY), ((0.4, 0.3, 0.2, 0.102), Fault.TARGET_SUM)]
)
@pytest.mark.parametrize("name", RULES)
def test_a_faulty_target_is_named(name: str, row: tuple[float, ...], reason: int) -> None:
    p, q = torch.tensor([P, P, row]), torch.tensor([Q] * 3)
    uniforms = torch.zeros(1, 3, dtype=torch.int64)

    verdict = verified(RULES[name], CHAIN, p, q, uniforms, uniforms)

    assert verdict.fault.tolist() == [2 * len(FAULTS) + reason]


@pytest.mark.parametrize(
    ("parents", "nodes", "node"),
    [
        ([-1, 0, 2], 3, 2),
        ([-1, -1, 0], 3, 1),
        ([0, 0, 1], 3, 0),
        ([-1, 0, 1], 4, 0),
        ([-1, 0, 1], 0, 0),
    ],
)
def test_an_invalid_tree_is_a_fault(parents: list[int], nodes: int, node: int) -> None:
    trees = Trees(torch.tensor([parents]), torch.tensor([[-1, 0, 1]]), torch.tensor([nodes]))
    uniforms = torch.zeros(1, 3, dtype=torch.int64)

    for tested in RULES.values():
        verdict = tested.verify(trees, torch.tensor([[P] * 3]), torch.tensor([[Q] * 3]), uniforms, uniforms)

        assert verdict.fault.tolist() == [node * len(FAULTS) + Fault.NOT_A_TREE]


@pytest.mark.parametrize(("accept", "final"), [(ACCEPT, 0), (-1, 0), (0, FINAL), (0, -1)])
def test_a_uniform_out_of_range_is_a_fault(accept: int, final: int) -> None:
    for tested in RULES.values():
        uniforms = torch.tensor([[0, accept, 0]]), torch.tensor([[0, final, 0]])

        verdict = verified(tested, CHAIN, torch.tensor([P] * 3), torch.tensor([Q] * 3), *uniforms)

        assert verdict.fault.tolist() == [len(FAULTS) + Fault.UNIFORM_RANGE]


def test_rounding_is_no_fault() -> None:
    p, q = torch.tensor([(0.4, 0.3, 0.2, 0.1001)] * 4), torch.tensor([(0.1, 0.2, 0.3, 0.3999)] * 4)

    for name, tested in RULES.items():
        tree = of(name)
        uniforms = torch.zeros(1, len(tree), dtype=torch.int64)
        assert verified(tested, tree, p[: len(tree)], q[: len(tree)], uniforms, uniforms).fault.tolist() == [0]


def test_where_nothing_is_left_the_target_itself_is_drawn_from() -> None:
    p = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]).double()
    q = torch.tensor([[0.5 + 2**-12, 0.5, 0.0], [0.0, 0.0, 1.0]]).double()  # sums to 1 within the tolerance
    uniforms = torch.tensor([[0, ACCEPT - 1]] * 2)

    verdict = verified(RULES["single"], Tree([-1, 0], [-1, 0]), p, q, uniforms, torch.tensor([[0, 0], [FINAL - 1, 0]]))

    assert verdict.final.tolist() == [0, 1]


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="expected two rows of probabilities a node"):
        RULES["single"].distribution(CHAIN, torch.tensor([P] * 2), torch.tensor([Q] * 2))


SPOILS = (math.nan, math.inf, -math.inf, -0.25, 0.0, 1.0, 1e-30, 5e-324, 1e300, 0.2501)


@pytest.mark.parametrize("name", RULES)
@settings(FEW, max_examples=60)
@given(seed=st.integers(0, 2**31), dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
def test_a_fuzzed_batch_gives_sound_verdicts_or_faults(name: str, seed: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(seed)
    p, q, accept, final = random_batch(name, seed, size=4)[1:]
    trees = padded([random_tree(seed + row, 1 + (seed + row) % 7, 6, chain=RULES[name].chain) for row in range(4)], 7)
    p, q = p.to(dtype), q.to(dtype)
    for rows in (p, q):
        hits = torch.rand(rows.shape, generator=generator) < 0.02
        rows[hits] = torch.tensor(SPOILS)[torch.randint(len(SPOILS), (int(hits.sum()),), generator=generator)].to(dtype)
    parents = trees.parents.clone()
    wild = torch.rand(parents.shape, generator=generator) < 0.02
    parents[wild] = torch.randint(-2, 8, (int(wild.sum()),), generator=generator)

    verdict = RULES[name].verify(Trees(parents, trees.tokens, trees.nodes), p, q, accept, final)

    for row, fault in enumerate(verdict.fault.tolist()):
        path = verdict.path[row, : int(verdict.length[row])].tolist()
        if fault:
            assert (path, int(verdict.final[row])) == ([], -1)
            continue
        ids = [*(int(trees.tokens[row, node]) for node in path), int(verdict.final[row])]
        assert [int(parents[row, node]) for node in path] == [0, *path][: len(path)]
        assert all(p[row, node, x] > 0 for node, x in zip((0, *path), ids, strict=True))


def test_a_row_is_emitted_for_every_combination_of_trees() -> None:
    shapes = [Tree([-1], [-1]), CHAIN, FORK]
    for name, trees in itertools.product(sorted(set(RULES) - {"single", "block"}), itertools.permutations(shapes)):
        zeros = torch.zeros(3, 4, dtype=torch.int64)

        verdict = RULES[name].verify(
            batch(trees), torch.tensor([[P] * 4] * 3), torch.tensor([[Q] * 4] * 3), zeros, zeros
        )

        assert (verdict.final >= 0).all()


@pytest.mark.parametrize("name", RULES)
def test_rows_one_rounding_apart_and_narrow_uniforms_are_valid(name: str) -> None:
    p = torch.softmax(torch.randn(1, 3, 50, generator=torch.Generator().manual_seed(0)) * 8, -1)
    q = p.nextafter(torch.tensor(1.0))
    tree = Tree([-1, 0, 1], (-1, *q[0, :2].argmax(-1).tolist()))
    uniforms = torch.full((1, 3), ACCEPT - 1, dtype=torch.int32)

    verdict = verified(RULES[name], tree, p, q, uniforms, uniforms)

    check(verdict)
    assert p[0, int(verdict.length), int(verdict.final)] > 0


@pytest.mark.parametrize("name", sorted(set(RULES) - {"single", "block"}))
@pytest.mark.parametrize("row", [(1 - 1e-12, 1e-30, 1e-12), (1.0, 5e-324, 1e-300)])
def test_more_children_than_there_is_mass_for_keep_a_distribution(name: str, row: tuple[float, ...]) -> None:
    chances = RULES[name].distribution(Tree([-1, 0, 0, 0], [-1, 0, 1, 2]), [(0.2, 0.3, 0.5)] * 4, [row] * 4)

    assert sum(chances.values()) == pytest.approx(1, abs=1e-12)
