"""Drafters: their distributions by definition, and batched drafting that follows them.

Every G-test has a fixed seed, 30,000 draws and a false-alarm rate of 1e-6. Axes: b batch, m nodes, v vocabulary.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from torch import Tensor

from crt_basics.priors.table import TablePrior
from crt_run.sampling import pick, probabilities
from crt_verify.bounds import acceptance_bound, greedy_bound, level_bounds, path_bounds
from crt_verify.drafters import (
    Beam,
    Branching,
    Chain,
    Drafter,
    GreedyTop,
    Likeliest,
    Paths,
    children,
    draft_distribution,
)
from crt_verify.drafters.beam_builder import arrivals
from crt_verify.drafters.draft_session import DraftSession
from crt_verify.drafters.tree_builder import Proposal
from crt_verify.tree import Tree
from crt_verify.uniforms import UniformStream
from crtcore import FieldError, Sampling

from .strategies import KINDS, Pair, pairs

DRAWS = 30_000
FINE = settings(max_examples=25, deadline=None, derandomize=True, database=None)
LISTED: tuple[Drafter, ...] = (
    Chain(length=1),
    Chain(length=3),
    Paths(paths=3, length=1),
    Paths(paths=2, length=2),
    Branching(branching=(3,)),
    Branching(branching=(2, 1)),
    Branching(branching=(2, 2)),
    GreedyTop(branching=(2,)),
    GreedyTop(branching=(3, 2)),
    Likeliest(width=2, length=2, size=3),
    Likeliest(width=2, length=3, size=6),
)
DRAFTERS = (*LISTED, Beam(width=2, length=2), Beam(width=3, length=3))


def table(seed: int, vocabulary: int = 3, *, order: int = 2, never: float = 0.0) -> TablePrior:
    """A random table that looks some ids back; a part of its ids is impossible."""
    generator = torch.Generator().manual_seed(seed)
    shape = (1, (vocabulary + 1) ** order, vocabulary)
    logits = 1.5 * torch.randn(shape, generator=generator, dtype=torch.float64)
    out = torch.rand(shape, generator=generator) < never
    out.scatter_(-1, torch.randint(vocabulary, (*shape[:-1], 1), generator=generator), False)
    return TablePrior(logits.masked_fill(out, -math.inf))


def rows_of(prior: TablePrior, given_ids: tuple[int, ...]) -> Callable[[tuple[int, ...]], Tensor]:
    """The prior's rows after some ids and a path, by a full pass each."""

    def row(path: tuple[int, ...]) -> Tensor:
        return probabilities(prior(torch.tensor([[*given_ids, *path]]))[0, -1].detach(), Sampling())

    return row


def opened(drafter: Drafter, prior: TablePrior, rows: int, sampling: Sampling) -> DraftSession:
    """A draft's session after id 1, with id 0 emitted after it."""
    session = prior.open(torch.ones(rows, 1).long(), capacity=60, room=2 + drafter.nodes)
    return DraftSession(session, torch.zeros(rows).long(), sampling)


def grown(drafter: Drafter, prior: TablePrior, seeds: Tensor, *, depth: int = 9, **options: Any) -> Proposal:
    """Trees for a batch."""
    builder, rows = drafter.build(), len(seeds)
    uniforms = UniformStream(builder, seeds, torch.full((rows,), 2), 1).at(torch.zeros(rows, dtype=torch.int64)).draft
    return builder.propose(opened(drafter, prior, rows, Sampling(**options)), torch.full((rows,), depth), uniforms)


def trees_of(proposal: Proposal) -> list[Tree]:
    """The trees one by one."""
    parents, tokens, nodes = (part.tolist() for part in proposal.trees)
    return [Tree(parents[b][:n], tokens[b][:n]) for b, n in enumerate(nodes)]


def p_value(seen: Mapping[Any, int], chances: Mapping[Any, float]) -> float:
    """The p-value of a G statistic; 0 if something impossible was seen."""
    if not seen.keys() <= chances.keys():
        return 0.0
    total = sum(seen.values())
    cells = [(seen.get(what, 0), total * chance) for what, chance in chances.items()]
    common = [cell for cell in cells if cell[1] >= 5]
    rare = [cell for cell in cells if cell[1] < 5]
    if rare:
        common.append((sum(n for n, _ in rare), math.fsum(expected for _, expected in rare)))
    statistic = 2 * math.fsum(n * math.log(n / expected) for n, expected in common if n)
    return float(chi2.sf(statistic, max(1, len(common) - 1)))


def without_replacement(chances: Mapping[Any, float], k: int) -> dict[tuple[Any, ...], float]:
    """Ordered draws by definition: each in proportion to what is left."""
    rows = {}
    for chosen in itertools.permutations(chances, k):
        gone = [math.fsum(chances[x] for x in chosen[:place]) for place in range(k)]
        rows[chosen] = math.prod(chances[x] / (1 - before) for x, before in zip(chosen, gone, strict=True))
    return rows


@pytest.mark.parametrize("drafter", LISTED, ids=str)
@FINE
@given(pairs(st.integers(1, 3), tuple(kind for kind in KINDS if kind != "denormal")))  # whose products are 0
def test_probabilities_of_distinct_trees_sum_to_one(drafter: Drafter, pair: Pair) -> None:
    drafts = list(draft_distribution(drafter, pair.q))

    assert math.fsum(chance for _, chance in drafts) == pytest.approx(1, abs=1e-12)
    assert len({tree for tree, _ in drafts}) == len(drafts)
    assert min(chance for _, chance in drafts) > 0
    assert all(len(tree) <= drafter.nodes for tree, _ in drafts)


def test_distinct_siblings_have_the_distribution_of_ordered_draws() -> None:
    q = {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4}

    drafts = {
        tree.tokens[1:]: chance for tree, chance in draft_distribution(Branching(branching=(3,)), list(q.values()))
    }

    assert drafts == pytest.approx(without_replacement(q, 3), abs=1e-15)


def test_a_tree_has_the_product_of_its_nodes_draws() -> None:
    q = rows_of(table(4), (1, 0))
    expected = Tree((-1, 0, 0, 1, 1, 2, 2), (-1, 2, 0, 1, 0, 2, 1))

    drafts = dict(draft_distribution(Branching(branching=(2, 2)), q))

    root, left, right = q(()), q((2,)), q((0,))
    root_draws = root[2] * root[0] / (root[0] + root[1])
    left_draws = left[1] * left[0] / (left[0] + left[2])
    right_draws = right[2] * right[1] / (right[0] + right[1])
    assert drafts[expected] == pytest.approx(float(root_draws * left_draws * right_draws), abs=1e-15)


def test_paths_stay_unmerged() -> None:
    drafts = dict(draft_distribution(Paths(paths=2, length=2), [0.25, 0.75]))

    assert drafts[Tree((-1, 0, 0, 1, 2), (-1, 1, 1, 0, 1))] == pytest.approx(0.75**3 * 0.25, abs=1e-15)
    assert len(drafts) == 16


def test_the_most_likely_ids_come_first_and_the_last_is_drawn_off_them() -> None:
    drafts = dict(draft_distribution(GreedyTop(branching=(3,)), [0.1, 0.3, 0.3, 0.2, 0.1]))

    star = (-1, 0, 0, 0)
    expected = {Tree(star, (-1, 1, 2, x)): chance for x, chance in ((0, 0.25), (3, 0.5), (4, 0.25))}
    assert drafts == pytest.approx(expected, abs=1e-15)


def test_fewer_possible_ids_are_fewer_children() -> None:
    q = [0.0, 0.7, 0.3]

    sizes = [
        {len(tree) for tree, _ in draft_distribution(kind(branching=(3, 1)), q)} for kind in (Branching, GreedyTop)
    ]

    assert sizes == [{5}, {5}]  # two children, each with one


def test_a_beams_trees_are_not_enumerated() -> None:
    with pytest.raises(ValueError, match="got a beam: how many children a node keeps depends on arrival times"):
        list(draft_distribution(Beam(width=2, length=2), [0.5, 0.5]))


@pytest.mark.parametrize("branching", [(), (2, 0)])
def test_a_level_without_children_is_refused(branching: tuple[int, ...]) -> None:
    with pytest.raises(FieldError, match="branching: expected numbers of at least 1"):
        Branching(branching=branching)


def test_level_bounds_of_drawn_trees_are_the_node_bounds() -> None:
    p, q = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]], dtype=torch.float64)

    def bounds(drafter: Drafter) -> list[float]:
        return level_bounds(draft_distribution(drafter, q), lambda _: p)

    distinct, greedy = float(acceptance_bound(p, q, 3, replacement=False)), float(greedy_bound(p, q, 3))
    assert bounds(Branching(branching=(3,))) == pytest.approx([distinct], abs=1e-8)
    assert bounds(GreedyTop(branching=(3,))) == pytest.approx([greedy], abs=1e-8)
    assert bounds(Paths(paths=2, length=2)) == pytest.approx(path_bounds(lambda _: p, lambda _: q, 2, 2), abs=1e-8)


@pytest.mark.parametrize("drafter", LISTED, ids=str)
@pytest.mark.parametrize("never", [0.0, 0.4])
def test_batched_drafting_follows_the_distribution(drafter: Drafter, never: float) -> None:
    prior = table(5, never=never)

    seen = Counter(trees_of(grown(drafter, prior, torch.arange(DRAWS))))

    assert p_value(seen, dict(draft_distribution(drafter, rows_of(prior, (1, 0))))) > 1e-6


def test_siblings_out_of_draw_order_are_caught() -> None:
    prior, drafter = table(5), Branching(branching=(2,))
    seen = Counter(trees_of(grown(drafter, prior, torch.arange(DRAWS))))

    in_id_order = Counter({Tree(t.parents, (-1, *sorted(t.tokens[1:]))): n for t, n in seen.items()})

    assert p_value(in_id_order, dict(draft_distribution(drafter, rows_of(prior, (1, 0))))) < 1e-6


@pytest.mark.parametrize(("width", "length"), [(2, 1), (3, 1), (2, 2), (2, 3)])
def test_a_beam_keeps_paths_drawn_without_replacement(width: int, length: int) -> None:
    prior = table(6)
    row = rows_of(prior, (1, 0))

    trees = trees_of(grown(Beam(width=width, length=length), prior, torch.arange(DRAWS)))

    for level in range(1, length + 1):
        kept = Counter(tuple(t.path(n) for n in range(len(t)) if t.depths[n] == level) for t in trees)
        words = itertools.product(range(3), repeat=level)
        chances = {word: math.prod(float(row(word[:n])[x]) for n, x in enumerate(word)) for word in words}
        assert p_value(kept, without_replacement(chances, width)) > 1e-6


def test_a_beam_of_one_follows_the_distribution_of_a_chain() -> None:
    prior = table(5)

    seen = Counter(trees_of(grown(Beam(width=1, length=2), prior, torch.arange(DRAWS))))

    assert p_value(seen, dict(draft_distribution(Chain(length=2), rows_of(prior, (1, 0))))) > 1e-6


def test_a_beam_has_its_width_on_every_level() -> None:
    proposal = grown(Beam(width=3, length=4), table(7, vocabulary=5), torch.arange(200))

    assert {tuple(Counter(tree.depths).items()) for tree in trees_of(proposal)} == {
        ((0, 1), (1, 3), (2, 3), (3, 3), (4, 3))
    }


def test_a_beam_wider_than_its_paths_keeps_them_all() -> None:
    proposal = grown(Beam(width=5, length=2), table(7, vocabulary=2), torch.arange(50))

    assert proposal.trees.nodes.tolist() == [1 + 2 + 4] * 50


@FINE
@given(st.integers(0, 2**31), st.floats(-600, 0), st.integers(1, 6))
def test_logarithms_of_times_are_those_of_the_race(seed: int, log_path: float, children: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    uniforms = torch.randint(2**32, (1, 1, children), generator=generator)
    left = torch.rand(1, 1, children, generator=generator, dtype=torch.float64).cumprod(-1)

    times = arrivals(torch.tensor([[log_path]], dtype=torch.float64), torch.zeros(1, 1).double(), left, uniforms)

    gaps = -torch.log1p(-(uniforms.double() + 0.5) / 2**32) / (math.exp(log_path) * left)
    gaps[..., 0] = 1  # the first child arrives with its parent, at time 1
    torch.testing.assert_close(times, gaps.cumsum(-1).log(), rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize("drafter", DRAFTERS, ids=str)
def test_children_come_in_draw_order_from_the_returned_rows(drafter: Drafter) -> None:
    prior, seeds = table(8, never=0.3), torch.arange(300)

    proposal = grown(drafter, prior, seeds)

    row = rows_of(prior, (1, 0))
    for b, tree in enumerate(trees_of(proposal)):
        assert list(tree.parents[1:]) == sorted(tree.parents[1:]) or isinstance(drafter, Beam)
        for node in range(len(tree)):
            children = [tree.tokens[child] for child in tree.children(node)]
            if children:
                assert torch.equal(proposal.q[b, node], row(tree.path(node)))
                assert all(float(proposal.q[b, node, x]) > 0 for x in children)


def test_a_chain_is_picked_from_its_rows_bit_by_bit() -> None:
    drafter, seeds = Chain(length=4), torch.arange(500)
    prior = table(9, vocabulary=5).float()

    proposal = grown(drafter, prior, seeds, temperature=0.7, top_k=3)

    uniforms = (
        UniformStream(drafter.build(), seeds, torch.full((500,), 2), 1).at(torch.zeros(500, dtype=torch.int64)).draft
    )
    assert proposal.q.dtype == torch.float32
    assert torch.equal(pick(proposal.q[:, :-1], uniforms), proposal.trees.tokens[:, 1:])


def test_siblings_are_drawn_from_their_row_bit_by_bit() -> None:
    drafter, seeds = Branching(branching=(3, 2)), torch.arange(500)
    prior = table(9, vocabulary=5).float()

    proposal = grown(drafter, prior, seeds)

    uniforms = (
        UniformStream(drafter.build(), seeds, torch.full((500,), 2), 1).at(torch.zeros(500, dtype=torch.int64)).draft
    )
    tokens = proposal.trees.tokens
    assert torch.equal(children.distinct(proposal.q[:, 0], uniforms[:, :3]), tokens[:, 1:4])
    assert torch.equal(
        children.distinct(proposal.q[:, 1:4], uniforms[:, 3:].reshape(500, 3, 2)).flatten(1), tokens[:, 4:]
    )


@pytest.mark.parametrize("drafter", DRAFTERS, ids=str)
def test_batch_neighbours_change_nothing(drafter: Drafter) -> None:
    prior, seeds = table(10, never=0.3), torch.tensor([5, 2**40 + 1, 7, 0])

    together = grown(drafter, prior, seeds)

    for b, seed in enumerate(seeds):
        alone = grown(drafter, prior, seed[None])
        assert all(torch.equal(mine[b], its[0]) for mine, its in zip(together.trees, alone.trees, strict=True))
        assert torch.equal(together.q[b], alone.q[0])


@pytest.mark.parametrize("drafter", DRAFTERS, ids=str)
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_no_tree_is_deeper_than_asked(drafter: Drafter, depth: int) -> None:
    proposal = grown(drafter, table(11), torch.arange(20), depth=depth)

    assert {tree.depth for tree in trees_of(proposal)} == {min(depth, len(drafter.widths))}


@pytest.mark.parametrize("drafter", DRAFTERS, ids=str)
def test_a_one_hot_draft_is_one_path(drafter: Drafter) -> None:
    proposal = grown(drafter, table(12), torch.arange(20), temperature=0)

    words = [{tree.path(node) for node in range(len(tree))} for tree in trees_of(proposal)]
    assert all(each == words[0] and len(each) == 1 + len(drafter.widths) for each in words)


@FINE
@given(st.integers(0, 2**31), st.integers(1, 5), st.booleans())
def test_tiny_and_impossible_ids_keep_their_shares(seed: int, k: int, top: bool) -> None:
    q = torch.tensor([[1.0, 1e-30, 3e-30, 0.0]], dtype=torch.float64)
    uniforms = torch.randint(2**32, (4000, k), generator=torch.Generator().manual_seed(seed))

    ids = (children.greedy_top if top else children.distinct)(q.expand(4000, -1), uniforms)

    assert (ids[:, 3:] == -1).all()
    assert not (ids == 3).any()
    assert all(len(set(row) - {-1}) == min(k, 3) for row in ids.tolist())
    if k > 1 and not top:
        assert 0.70 < (ids[:, 1] == 2).double().mean() < 0.80  # 3 in 4 +- 7 standard errors: 1e-11 false alarms


@pytest.mark.parametrize("drafter", DRAFTERS, ids=str)
def test_an_invalid_draft_still_returns_its_rows(drafter: Drafter) -> None:
    prior = TablePrior(torch.full((1, 4, 3), math.nan))

    proposal = grown(drafter, prior, torch.arange(3))

    assert proposal.q[:, 0].isnan().all()
    assert (proposal.trees.nodes > 1).all()  # so that the verifier reads the row and reports it


@pytest.mark.parametrize("drafter", DRAFTERS, ids=str)
def test_a_lagging_session_has_all_emitted_ids(drafter: Drafter) -> None:
    prior, rows = table(13, order=4, never=0.2), 12
    builder, generator = drafter.build(), torch.Generator().manual_seed(0)
    session = opened(drafter, prior, rows, Sampling())
    emitted = [[0] for _ in range(rows)]
    active = torch.ones(rows, dtype=torch.bool)
    for turn in range(7):
        uniforms = torch.randint(2**32, (rows, sum(builder.uniforms)), generator=generator)
        depths = torch.randint(0, 5, (rows,), generator=generator)
        proposal = builder.propose(session, depths, uniforms)
        for b in range(rows):
            if active[b]:
                expected = rows_of(prior, (1, *emitted[b]))(())
                assert torch.equal(proposal.q[b, 0], expected), (turn, b)
        nodes, ids = torch.full((2, rows, 4), -1)
        for b, tree in enumerate(trees_of(proposal)):
            node = int(torch.randint(len(tree), (), generator=generator))
            word = tree.path(node)
            emitted[b] += [*word, turn % 3]
            for place in range(len(word) - 1, -1, -1):
                nodes[b, place], ids[b, place] = proposal.places[b, node], tree.tokens[node]
                node = tree.parents[node]
        active = active & (torch.rand(rows, generator=generator) < 0.95)

        session.keep(nodes, ids, torch.full((rows,), turn % 3), active)


def test_the_likeliest_nodes_of_all_lengths_are_drafted() -> None:
    # After any id: 0 with 0.6, 1 with 0.3, 2 with 0.1. Chances: 0: 0.6, 00: 0.36, 000: 0.216, 1: 0.3, 01 and 10: 0.18.
    ((tree, chance),) = draft_distribution(Likeliest(width=2, length=3, size=4), [0.6, 0.3, 0.1])

    assert chance == 1
    assert {tree.path(node) for node in range(1, len(tree))} == {(0,), (1,), (0, 0), (0, 0, 0)}


def test_the_likeliest_nodes_do_not_depend_on_the_temperature_of_the_target() -> None:
    drafter = Likeliest(width=2, length=1, size=2)

    assert drafter.sampling(Sampling(temperature=0, top_k=1, banned=(1,))) == Sampling(banned=(1,))
    assert Chain(length=1).sampling(Sampling(temperature=0)) == Sampling(temperature=0)
