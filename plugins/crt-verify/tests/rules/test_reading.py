"""Which rows a walk reads: the first faulty one ends it, and other rows change nothing.

A second implementation of the walk goes tree by tree and node by node, by the tests of the rule's plan.
Axes: b batch, m nodes (the root counted), v vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import attrs
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from crt_verify import Tree, rule
from crt_verify.rules import base
from crt_verify.rules.base import Rule
from crt_verify.rules.plan import Plan
from crt_verify.rules.tree_batch import ACCEPT, FINAL, TreeBatch
from crt_verify.tree import Trees, batch
from crt_verify.verdict import FAULTS, TOLERANCE, Fault, Verdict, check

from ..kernels.cases import REFERENCE, Cases, differing, ragged, spoiled
from ..strategies import Draft, drafts

MANY = 5_000
LEAVES_FIRST = sorted(label for label, tested in REFERENCE.items() if tested.leaves_first)
PEEKING = sorted({"single", "multiround", "recursive", *LEAVES_FIRST})
"""Rules that test a first child by its id's two probabilities, before rows are read."""
CHAIN = batch([Tree([-1, 0, 1], [-1, 2, 0])])
P, Q = (0.4, 0.3, 0.2, 0.1), (0.1, 0.2, 0.3, 0.4)


class Walk(NamedTuple):
    """Where a walk ends, and the nodes whose rows it has read by then."""

    end: int
    read: list[int]


def children(parents: list[int], node: int) -> list[int]:
    """The nodes right under a node."""
    return [child for child in range(1, len(parents)) if parents[child] == node]


def misshapen(tested: Rule, cases: Cases, row: int) -> int:
    """The code of the first fault of a tree but for its rows, or 0."""
    most, vocabulary = cases.p.shape[1:]
    count, parents = int(cases.trees.nodes[row]), cases.trees.parents[row].tolist()
    tokens, accept, final = (field[row].tolist() for field in (cases.trees.tokens, cases.accept, cases.final))
    astray = [not 0 <= parent < node for node, parent in enumerate(parents)]
    astray[0] = parents[0] != -1
    for node in range(most):
        there = node < count
        below = [child for child in range(1, min(count, most)) if parents[child] == node and not astray[child]]
        if any(not 0 <= tokens[child] < vocabulary for child in below):
            return node * len(FAULTS) + Fault.RULED_OUT
        if (there and astray[node]) or (node == 0 and not 1 <= count <= most):
            return node * len(FAULTS) + Fault.NOT_A_TREE
        if tested.chain and len(below) > 1:
            return node * len(FAULTS) + Fault.NOT_A_CHAIN
        if there and not (0 <= accept[node] < ACCEPT and 0 <= final[node] < FINAL):
            return node * len(FAULTS) + Fault.UNIFORM_RANGE
    return 0


def row_fault(row: list[float]) -> int:
    """The fault of a target's row."""
    if not all(0 <= x < math.inf for x in row):
        return 1
    return 2 * (abs(sum(math.floor(min(x, 2) * 2**40) for x in row) / 2**40 - 1) > TOLERANCE)


def spoilt(tested: Rule, cases: Cases, row: int) -> list[int]:
    """The faults of the rows of each node of a tree."""
    count = int(cases.trees.nodes[row])
    parents, tokens = (field[row, :count].tolist() for field in cases.trees[:2])
    p, q = cases.p[row].tolist(), cases.q[row].tolist()
    faults = []
    for node in range(count):
        reason, below = row_fault(p[node]), children(parents, node)
        if not reason and below and tested.reads != "none":
            reason = row_fault(q[node])
            asked = below if tested.reads == "all" else below[-1:]
            ruled_out = any(q[node][tokens[child]] == 0 for child in asked)
            reason = reason + 2 if reason else Fault.RULED_OUT * ruled_out
        faults.append(reason)
    return faults


def walked(tested: Rule, cases: Cases, plan: Plan, row: int, reasons: list[int]) -> Walk:
    """The walk of one tree."""
    parents, uniforms = cases.trees.parents[row, : len(reasons)].tolist(), cases.accept[row].tolist()
    gain, bar, turn = (field[row].tolist() for field in (plan.gain, plan.bar, plan.turn))
    accepted = [uniform * b < g * ACCEPT for uniform, b, g in zip(uniforms, bar, gain, strict=True)]
    early = [node for node in range(1, len(parents)) if peeked(tested, cases, row, node)]
    if plan.entry is not None:
        return from_leaves(parents, accepted, plan.entry[row].tolist(), early, reasons)
    first = list(range(len(parents))) if plan.first is None else plan.first[row].tolist()
    merged = [-1, *(first[parent] for parent in parents[1:])]
    walk = Walk(0, [])
    while True:
        taken = [child for child in children(merged, walk.end) if accepted[child]]
        child = first[min(taken, key=turn.__getitem__)] if taken else 0
        if child in early:
            walk = Walk(child, walk.read)
            continue
        walk.read.append(walk.end)
        if reasons[walk.end] or not child:
            return walk
        walk = Walk(child, walk.read)


def peeked(tested: Rule, cases: Cases, row: int, node: int) -> bool:
    """Whether a node is tested before its parent's rows are read: a first child with two valid probabilities.

    `multi-block` tests only children so, as its scale for several children needs whole rows.
    """
    if tested not in [REFERENCE[label] for label in PEEKING]:
        return False
    parent, x = int(cases.trees.parents[row, node]), int(cases.trees.tokens[row, node])
    parents = cases.trees.parents[row, : int(cases.trees.nodes[row])].tolist()
    p, q = float(cases.p[row, parent, x]), float(cases.q[row, parent, x])
    if tested is REFERENCE["multi-block"] and len(children(parents, parent)) > 1:
        return False
    return node == children(parents, parent)[0] and 0 <= p <= 1 + TOLERANCE and 0 < q <= 1 + TOLERANCE


def from_leaves(
    parents: list[int], accepted: list[bool], entry: list[float], early: list[int], reasons: list[int]
) -> Walk:
    """The walk from the leaves: each node is tested after its descendants."""
    read: list[int] = []

    def end(node: int) -> int | None:
        below = children(parents, node)
        for child in below:
            if child not in early and node not in read:
                read.append(node)
                if reasons[node]:
                    return node
            if entry[child] > 0 and (last := end(child)) is not None:
                return last
        if below and node not in read:
            read.append(node)
            if reasons[node]:
                return node
        if node and not accepted[node]:
            return None
        if not below:
            read.append(node)
        return node

    last = end(0)
    assert last is not None
    return Walk(last, read)


def planned(tested: Rule, cases: Cases) -> Plan:
    """A rule's tests of a batch."""
    return tested.plan(TreeBatch(cases.trees, cases.p, cases.p if tested.reads == "none" else cases.q))


def verdicts(tested: Rule, cases: Cases) -> Verdict:
    """A rule's verdicts on a batch."""
    return tested.verify(*cases)


def mended(tested: Rule, cases: Cases, sound: Cases) -> tuple[Cases, list[int], list[list[int]]]:
    """A batch with valid rows instead of faulty ones, and the faults of its trees and rows."""
    most = cases.p.shape[1]
    shapes = [misshapen(tested, cases, row) for row in range(len(cases.p))]
    reasons = [[0] if shape else spoilt(tested, cases, row) for row, shape in enumerate(shapes)]
    faulty = torch.tensor([[*row, *[0] * most][:most] for row in reasons])[..., None] > 0
    p, q = torch.where(faulty, sound.p, cases.p), torch.where(faulty, sound.q, cases.q)
    for row, reason in enumerate(reasons):
        for node in [node for node in range(1, len(reason)) if reason[int(cases.trees.parents[row, node])]]:
            if peeked(tested, cases, row, node):
                parent, x = int(cases.trees.parents[row, node]), int(cases.trees.tokens[row, node])
                p[row, parent], q[row, parent] = (some(float(field[row, parent, x]), x) for field in (cases.p, cases.q))
    return cases._replace(p=p, q=q), shapes, reasons


def some(chance: float, x: int) -> Tensor:
    """A row of five ids that gives one this chance."""
    return (
        torch.zeros(5)
        .index_fill(0, torch.tensor((x + 1) % 5), max(1 - chance, 0))
        .index_fill(0, torch.tensor(x), chance)
    )


def mismatches(tested: Rule, label: str, cases: Cases, sound: Cases) -> int:
    """The number of rows in which a rule's verdict differs from the second implementation."""
    usual = REFERENCE[label]
    clean, shapes, reasons = mended(usual, cases, sound)
    plan, known = planned(usual, clean), verdicts(usual, clean)
    codes, ends = [], []
    for row, (shape, reason) in enumerate(zip(shapes, reasons, strict=True)):
        end = 0 if shape else walked(usual, cases, plan, row, reason).end
        met = end * len(FAULTS) + reason[end] if not shape and reason[end] else 0
        codes.append(shape or met)
        ends.append(0 if codes[-1] else end)
    fault = torch.tensor(codes)
    path = torch.where(fault[:, None] == 0, known.path, -1)
    expected = Verdict(path, (path >= 0).sum(-1), torch.where(fault == 0, known.final, -1), fault)
    assert path.amax(-1).clamp(min=0).tolist() == ends  # a child comes after its parent
    return differing(verdicts(tested, cases), expected)


def batch_of(label: str, seed: int) -> tuple[Cases, Cases]:
    """Ragged trees with faults of every kind, and the same without."""
    sound = ragged(label, seed, size=MANY)
    return spoiled(sound, seed + 1), sound


@pytest.mark.parametrize("label", REFERENCE)
def test_the_fault_is_the_trees_or_the_first_that_a_walk_reads(label: str) -> None:
    cases, sound = batch_of(label, 1)

    verdict = verdicts(REFERENCE[label], cases)

    unread = {3, 4} if label == "target-only" else set()
    unread |= set() if REFERENCE[label].chain else {7}
    assert {fault % len(FAULTS) for fault in verdict.fault.tolist()} == set(range(len(FAULTS))) - unread
    assert mismatches(REFERENCE[label], label, cases, sound) == 0


@pytest.mark.parametrize("label", REFERENCE)
def test_work_by_shape_finds_the_same_faults(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = batch_of(label, 1)[0]
    sparing = verdicts(REFERENCE[label], cases)

    monkeypatch.setattr(TreeBatch, "runs_ahead", True)
    by_shape = verdicts(REFERENCE[label], cases)

    assert differing(sparing, by_shape) == 0


def bent(label: str, **fields: Callable[[Tensor], Tensor]) -> Rule:
    """A rule with another plan."""
    tested = REFERENCE[label]

    def plan(batch: TreeBatch) -> Plan:
        plan = tested.plan(batch)
        return plan._replace(**{field: change(getattr(plan, field)) for field, change in fields.items()})

    return attrs.evolve(tested, plan=plan)


@pytest.mark.parametrize("label", LEAVES_FIRST)
@pytest.mark.parametrize("change", [torch.zeros_like, torch.ones_like])
def test_a_node_that_is_always_or_never_entered_is_caught(label: str, change: Callable[[Tensor], Tensor]) -> None:
    cases, sound = batch_of(label, 1)

    assert mismatches(bent(label, entry=change), label, cases, sound) > 0


@pytest.mark.parametrize("label", REFERENCE)
def test_a_walk_that_goes_on_from_a_faulty_node_is_caught(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tested, cases = REFERENCE[label], batch_of(label, 1)[0]

    def heedless(plan: Plan, batch: TreeBatch, accepted: Tensor, faulty: Tensor) -> Tensor:
        return accepted

    with monkeypatch.context() as patch:
        patch.setattr(base, "stopped", heedless)
        wrong = verdicts(tested, cases)

    assert differing(wrong, verdicts(tested, cases)) > 0


def readings(label: str, cases: Cases) -> list[list[int]]:
    """The nodes whose rows each walk of a sound batch reads."""
    tested, plan = REFERENCE[label], planned(REFERENCE[label], cases)
    return [walked(tested, cases, plan, row, [0] * int(count)).read for row, count in enumerate(cases.trees.nodes)]


def off_walk(label: str, cases: Cases) -> Cases:
    """Invalid rows wherever no walk reads, but for peeked entries: NaN, infinite, negative, all ones, all 0."""
    size, most = cases.p.shape[:2]
    read = torch.zeros(size, most, dtype=torch.bool)
    for row, nodes in enumerate(readings(label, cases)):
        read[row, nodes] = True
    inner = TreeBatch(*cases[:3]).inner
    generator = torch.Generator().manual_seed(0)
    none = torch.tensor([math.nan, math.inf, -math.inf, -0.25, 1.0, 0.0])
    p, q = (none[torch.randint(len(none), (size, most, 1), generator=generator)] for _ in range(2))
    drafts = read & inner & (REFERENCE[label].reads != "none")
    assert (~read & TreeBatch(*cases[:3]).exists).sum() > size
    p, q = torch.where(read[..., None], cases.p, p), torch.where(drafts[..., None], cases.q, q.expand_as(cases.q))
    for row, count in enumerate(cases.trees.nodes.tolist()):
        for node in [node for node in range(1, count) if peeked(REFERENCE[label], cases, row, node)]:
            parent, x = cases.trees.parents[row, node], cases.trees.tokens[row, node]
            p[row, parent, x], q[row, parent, x] = cases.p[row, parent, x], cases.q[row, parent, x]
    return cases._replace(p=p, q=q)


@pytest.mark.parametrize("label", REFERENCE)
def test_rows_off_the_walk_change_nothing(label: str) -> None:
    sound = ragged(label, 2, size=MANY)

    verdict = verdicts(REFERENCE[label], off_walk(label, sound))

    check(verdict)
    assert differing(verdict, verdicts(REFERENCE[label], sound)) == 0


@pytest.mark.parametrize("label", REFERENCE)
def test_a_number_that_comes_from_a_row_off_the_walk_is_caught(label: str) -> None:
    sound = ragged(label, 2, size=MANY)
    tested = bent(label, rest=lambda rest: rest + 0 * rest.sum((1, 2), keepdim=True))

    assert differing(verdicts(tested, off_walk(label, sound)), verdicts(REFERENCE[label], sound)) > 0


@pytest.mark.parametrize("label", REFERENCE)
def test_an_audit_of_every_row_is_caught(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = ragged(label, 2, size=MANY)
    known, row_faults = verdicts(REFERENCE[label], sound), base.row_faults
    monkeypatch.setattr(base, "row_faults", lambda *args: row_faults(*args).amax(-1, keepdim=True).expand(-1, 7))

    assert differing(verdicts(REFERENCE[label], off_walk(label, sound)), known) > 0


@pytest.mark.parametrize("label", REFERENCE)
@pytest.mark.parametrize("whose", ["p", "q"])
def test_each_row_on_the_walk_can_stop_it(label: str, whose: str) -> None:
    sound = ragged(label, 3, size=MANY)
    tested, inner = REFERENCE[label], TreeBatch(*sound[:3]).inner.tolist()
    rows, codes = getattr(sound, whose).clone(), []
    for row, nodes in enumerate(readings(label, sound)):
        node = nodes[row % len(nodes)]
        rows[row, node, row % 5] = math.nan
        read = whose == "p" or (tested.reads != "none" and inner[row][node])
        codes.append((node * len(FAULTS) + {"p": 1, "q": 3}[whose]) * read)

    verdict = verdicts(tested, sound._replace(**{whose: rows}))

    assert verdict.fault.tolist() == codes


@pytest.mark.parametrize("label", REFERENCE)
@settings(max_examples=20, deadline=None, derandomize=True, database=None)
@given(spoil=st.sampled_from([math.nan, math.inf, -math.inf, -0.25]), whose=st.sampled_from("pq"), data=st.data())
def test_a_spoilt_row_is_named_or_not_read(label: str, spoil: float, whose: str, data: st.DataObject) -> None:
    tested = REFERENCE[label]
    draft = data.draw(drafts(chain=tested.chain, repeats=True))
    uniforms = data.draw(st.lists(st.sampled_from([0, ACCEPT // 2, ACCEPT - 1]), min_size=7, max_size=7))
    sound = single(draft, uniforms[: len(draft.parents)])
    node, x = data.draw(st.integers(0, len(draft.parents) - 1)), data.draw(st.integers(0, draft.pair.vocabulary - 1))
    rows = getattr(sound, whose).clone()
    rows[0, node, x] = spoil

    cases = sound._replace(**{whose: rows})

    verdict = verdicts(tested, cases)

    reasons = [0] * len(draft.parents)
    reasons[node] = {"p": 1, "q": 3 * (tested.reads != "none" and bool(draft.tree.children(node)))}[whose]
    end = walked(tested, cases, planned(tested, sound), 0, reasons).end
    stopped = (0, -1, end * len(FAULTS) + reasons[end])
    assert tuple(map(int, verdict[1:])) == (stopped if reasons[end] else tuple(map(int, verdicts(tested, sound)[1:])))


def single(draft: Draft, uniforms: list[int]) -> Cases:
    """One tree and its uniforms."""
    accept = torch.tensor([uniforms])
    return Cases(batch([draft.tree]), draft.p[None], draft.q[None], accept, accept)


def chain(*, p: tuple[float, ...] = P, later: tuple[float, ...] = P) -> Cases:
    """A chain of two ids whose uniforms accept; `p` is the root's row, `later` the others'."""
    zeros = torch.zeros(1, 3, dtype=torch.int64)
    return Cases(CHAIN, torch.tensor([[p, later, later]]), torch.tensor([[Q] * 3]), zeros, zeros)


@pytest.mark.parametrize("label", REFERENCE)
def test_a_walk_stops_at_the_first_faulty_node_though_a_later_one_is_worse(label: str) -> None:
    cases = chain()
    cases.p[0, 1, 0] = 1.2  # the probability of the child's id, so that peeking does not skip the row
    cases.p[0, 2, 0] = math.nan

    verdict = verdicts(REFERENCE[label], cases)

    assert verdict.fault.tolist() == [len(FAULTS) + 2]
    assert (verdict.path.tolist(), verdict.length.tolist(), verdict.final.tolist()) == ([[-1, -1]], [0], [-1])


@pytest.mark.parametrize(("uniform", "fault"), [(0, 0), (ACCEPT - 1, len(FAULTS) + 1)])
@pytest.mark.parametrize("label", PEEKING)
def test_a_first_child_that_is_accepted_leaves_its_parents_rows_unread(label: str, uniform: int, fault: int) -> None:
    cases = chain()._replace(accept=torch.tensor([[0, 0, uniform]]))
    cases.p[0, 1] = torch.tensor((0.05, math.nan, math.inf, -1.0))

    verdict = verdicts(REFERENCE[label], cases)

    assert verdict.fault.tolist() == [fault]


@pytest.mark.parametrize("label", sorted(set(REFERENCE) - set(PEEKING)))
def test_other_rules_read_the_rows_of_every_node_they_come_to(label: str) -> None:
    cases = chain()
    cases.p[0, 1, 3] = math.nan

    verdict = verdicts(REFERENCE[label], cases)

    assert verdict.fault.tolist() == [len(FAULTS) + 1]


@pytest.mark.parametrize("label", sorted(set(REFERENCE) - {"target-only"}))
def test_a_targets_fault_goes_before_a_drafts_and_a_sum_before_an_impossible_id(label: str) -> None:
    whole, second, third = chain(), chain(), chain()
    for cases in (whole, second, third):
        cases.q[0, 1] = torch.tensor([0.0, 0.3, 0.3, 0.4])
    for cases in (whole, second):
        cases.q[0, 1, 3] = 0.2
    whole.p[0, 1, 3] = 0.2

    verdict = [verdicts(REFERENCE[label], cases).fault.tolist() for cases in (whole, second, third)]

    assert verdict == [
        [len(FAULTS) + Fault.TARGET_SUM],
        [len(FAULTS) + Fault.DRAFT_SUM],
        [len(FAULTS) + Fault.RULED_OUT],
    ]


@pytest.mark.parametrize(
    ("parents", "tokens", "uniform", "code"),
    [
        ([-1, 0, 1], [-1, 2, 4], 0, len(FAULTS) + Fault.RULED_OUT),
        ([-1, 0, 2], [-1, 2, 0], 0, 2 * len(FAULTS) + Fault.NOT_A_TREE),
        ([-1, 0, 1], [-1, 2, 0], ACCEPT, 2 * len(FAULTS) + Fault.UNIFORM_RANGE),
    ],
)
@pytest.mark.parametrize("label", REFERENCE)
def test_the_fault_of_a_tree_goes_before_its_rows(
    label: str, parents: list[int], tokens: list[int], uniform: int, code: int
) -> None:
    trees = Trees(torch.tensor([parents]), torch.tensor([tokens]), torch.tensor([3]))
    cases = chain()._replace(trees=trees, accept=torch.tensor([[0, 0, uniform]]))
    cases.p[0, 0] = math.nan

    verdict = verdicts(REFERENCE[label], cases)

    assert verdict.fault.tolist() == [code]


@pytest.mark.parametrize("label", ["single", "block"])
def test_a_fork_under_a_rule_of_chains_goes_before_rows(label: str) -> None:
    cases = chain()._replace(trees=batch([Tree([-1, 0, 0], [-1, 2, 0])]))
    cases.p[0, 0] = math.nan

    verdict = verdicts(REFERENCE[label], cases)

    assert verdict.fault.tolist() == [Fault.NOT_A_CHAIN]


@pytest.mark.parametrize(("chance", "fault"), [(0.0, 0), (0.2, len(FAULTS) + 1)])
@pytest.mark.parametrize("label", LEAVES_FIRST)
def test_a_node_with_children_is_read_if_a_walk_enters_it(label: str, chance: float, fault: int) -> None:
    cases = chain(p=(0.6 - chance, 0.3, chance, 0.1), later=(math.nan, 0.5, 0.3, 0.2))._replace(
        accept=torch.full((1, 3), ACCEPT - 1)
    )
    cases.p[0, 2] = torch.tensor(P)

    verdict = verdicts(REFERENCE[label], cases)

    assert verdict.fault.tolist() == [fault]


@pytest.mark.parametrize(("uniform", "fault"), [(0, 2 * len(FAULTS) + 1), (ACCEPT - 1, 0)])
@pytest.mark.parametrize("label", LEAVES_FIRST)
def test_a_childless_node_is_read_if_a_walk_ends_there(label: str, uniform: int, fault: int) -> None:
    cases = chain()._replace(accept=torch.tensor([[0, 0, uniform]]))
    cases.p[0, 1] = torch.tensor(Q[::-1])
    cases.q[0, 1] = torch.tensor((0.7, 0.1, 0.1, 0.1))
    cases.p[0, 2] = math.nan

    verdict = verdicts(REFERENCE[label], cases)

    assert verdict.fault.tolist() == [fault]


@pytest.mark.parametrize(("node", "fault"), [(1, 0), (2, 2 * len(FAULTS) + 1)])
def test_of_merged_paths_the_first_node_with_children_is_read(node: int, fault: int) -> None:
    tree = batch([Tree([-1, 0, 0, 2], [-1, 2, 2, 0])])  # node 2 has a child, so node 1 is merged into it
    p, q = torch.tensor([[P] * 4]), torch.tensor([[Q] * 4])
    p[0, node] = math.nan
    zeros = torch.zeros(1, 4, dtype=torch.int64)

    verdict = verdicts(REFERENCE["kseq"], Cases(tree, p, q, zeros, zeros))

    assert verdict.fault.tolist() == [fault]


@pytest.mark.parametrize(("x", "fault"), [(3, 0), (0, len(FAULTS) + Fault.RULED_OUT)])
def test_of_merged_paths_a_draft_must_allow_its_own_children(x: int, fault: int) -> None:
    tree = batch([Tree([-1, 0, 0, 1, 2], [-1, 2, 2, 0, 3])])  # node 2 is merged into node 1, its child is not node 1's
    p, q = torch.tensor([[P] * 5]), torch.tensor([[Q] * 5])
    q[0, 1] = torch.where(torch.arange(4) == x, 0, 1 / 3)
    zeros = torch.zeros(1, 5, dtype=torch.int64)

    verdict = verdicts(REFERENCE["kseq"], Cases(tree, p, q, zeros, zeros))

    assert verdict.fault.tolist() == [fault]


@pytest.mark.parametrize("label", REFERENCE)
def test_a_distribution_reports_a_fault_of_any_node(label: str) -> None:
    cases = chain(p=(0.6, 0.3, 0.0, 0.1))
    cases.p[0, 2] = math.nan

    with pytest.raises(ValueError, match=f"row 0, node 2: {FAULTS[Fault.TARGET_ENTRY]}"):
        REFERENCE[label].distribution(Tree([-1, 0, 1], [-1, 2, 0]), cases.p[0], cases.q[0])


def entering(tree: Tree, p: Tensor, q: Tensor, *, replacement: bool) -> dict[int, float]:
    """The chance of each node that a walk can reach, by the traversal of arXiv:2505.12398 as written there."""
    entry = {}

    def visit(node: int, a: float) -> None:
        entry[node] = a
        r, s = p[node].clone(), q[node].clone()
        for child in tree.children(node):
            x = tree.tokens[child]
            visit(child, min(1.0, a * float(r[x]) / float(s[x])))
            if entry[child] == 1:  # never rejected
                break
            rest = (a * r - s).clamp(min=0)
            mass = float(rest.sum())
            a = mass / (mass + 1 - a) if mass + 1 - a > 0 else 1.0
            r = rest / mass if mass > 0 else r
            if not replacement:
                s[x] = 0
                s /= s.sum()

    visit(0, 1.0)
    return entry


@pytest.mark.parametrize("replacement", [False, True])
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(draft=drafts(kinds=("free", "zeros-in-target"), vocabulary=4))
def test_the_entering_chance_is_that_of_the_source(replacement: bool, draft: Draft) -> None:
    tested = rule("traversal", replacement=replacement)

    entry = planned(tested, single(draft, [0] * len(draft.parents))).entry

    assert entry is not None
    expected = entering(draft.tree, draft.p, draft.q, replacement=replacement)
    actual = {node: float(entry[0, node]) for node in expected}
    assert actual == pytest.approx(expected, abs=1e-9)
    assert [x > 0 for x in actual.values()] == [x > 0 for x in expected.values()]
