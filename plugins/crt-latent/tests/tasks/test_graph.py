"""Graphs: exactly one reachable answer, the number of hops, and statistics of the generator."""

from __future__ import annotations

import functools
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from crt_latent.tasks.generated import GeneratedTask
from crt_latent.tasks.graph import Reachability, depths, drawn, reached, searched, shape_hash
from crt_latent.tasks.spec import Graph
from crt_latent.traces import split_trace
from crt_laws import obeys

SPEC = Graph(nodes=14, hops=2, train=120, validation=20, test=20)


@functools.cache
def small() -> GeneratedTask:
    return SPEC.build()


test_graphs = obeys(Graph(nodes=12, hops=2, train=60, validation=10, test=10))


def texts(task: GeneratedTask, count: int) -> list[tuple[str, str, str]]:
    rows = []
    for row in task.take("train", torch.arange(count)).data:
        prompt, rest = task.words(row).removesuffix(" <end>").split(" <think> ")
        steps, solution = rest.split(" <answer> ")
        rows.append((prompt, steps, solution))
    return rows


def edges_of(prompt: str) -> dict[str, list[str]]:
    children: dict[str, list[str]] = {}
    for sentence in prompt.split(" . ")[:-1]:
        _, parent, _, child = sentence.split()
        children.setdefault(parent, []).append(child)
    return children


def ids(task: GeneratedTask, text: str) -> Tensor:
    known = {task.words(torch.tensor([id_])): id_ for id_ in range(task.vocabulary)}
    return torch.tensor([[known[word] for word in text.split()]])


@pytest.mark.parametrize(("nodes", "hops"), [(12, 1), (23, 3), (23, 4)])
def test_exactly_one_of_the_two_is_reached_and_in_hops_edges(nodes: int, hops: int) -> None:
    task = Graph(nodes=nodes, hops=hops, train=20, validation=1, test=1).build()

    for prompt, steps, solution in texts(task, 20):
        start, _, one, _, other, _ = prompt.split(" . ")[-1].split()
        there = searched(edges_of(prompt), start)
        assert (one in there) != (other in there)
        assert solution == (one if one in there else other)
        assert there[solution] == hops
        assert len(steps.split(" ; ")) == hops


def test_steps_are_edges_from_the_start_to_the_answer() -> None:
    for prompt, steps, solution in texts(small(), 120):
        children, node = edges_of(prompt), prompt.split(" . ")[-1].split()[0]
        for step in steps.removesuffix(" ;").split(" ; "):
            parent, _, child = step.split()
            assert parent == node
            assert child in children[parent]
            node = child
        assert node == solution


def test_which_of_the_two_is_named_first_is_balanced_exactly() -> None:
    first = [prompt.split(" . ")[-1].split()[2] == solution for prompt, _, solution in texts(small(), 120)]

    assert sum(first) == 60


def test_graphs_have_the_statistics_of_a_simulation() -> None:
    """23 nodes: 29.7 edges, 87 % of graphs with both sorts of targets, the deepest 2.8 hops away, to the digits given.

    Of 4,000 graphs these have standard errors of 0.08, 0.005 and 0.02, so that the room is 5 of them and more.
    """
    dag = drawn(23, torch.arange(4000))

    young = torch.arange(23) > 1
    one, other = (dag.below == 1) & young, (dag.below == 2) & young
    usable = one.any(1) & other.any(1)
    deepest = depths(dag.edges).masked_fill(~one, 0).amax(1)[usable]
    assert float(dag.edges.sum((1, 2)).double().mean()) == pytest.approx(29.7, abs=0.5)
    assert float(usable.double().mean()) == pytest.approx(0.87, abs=0.03)
    assert float(deepest.double().mean()) == pytest.approx(2.8, abs=0.15)


def test_labels_and_depths_are_those_of_a_search() -> None:
    dag = drawn(12, torch.arange(100))

    for edges, below, depth in zip(dag.edges, dag.below.tolist(), depths(dag.edges).tolist(), strict=True):
        children: dict[str, list[str]] = {}
        for child, parent in edges.nonzero().tolist():
            assert parent < child
            children.setdefault(str(parent), []).append(str(child))
        roots = [searched(children, str(root)) for root in (0, 1)]
        assert below == [sum(1 << side for side in (0, 1) if str(node) in roots[side]) for node in range(12)]
        assert depth == [roots[0].get(str(node), 99) for node in range(12)]


def test_its_own_answers_are_valid_and_other_names_are_not() -> None:
    task = small()
    trace = split_trace(task.take("test", torch.arange(20)).data, task.vocabulary)
    answer, end = torch.full((20, 1), task.vocabulary - 2), torch.full((20, 1), task.vocabulary - 1)
    first = 7  # ids of names follow seven marks

    assert task.check(trace.prompt, torch.cat((answer, trace.solution, end), 1)).all()
    for shift in range(1, 14):
        other = first + (trace.solution - first + shift) % 14
        assert not task.check(trace.prompt, torch.cat((answer, other, end), 1)).any()


PROMPT = "every n0 is n1 . every n1 is n2 . every n4 is n3 . n0 is n3 or n2 ?"


def test_the_solver_searches() -> None:
    assert reached(PROMPT.split()) == "n2"


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        (
            PROMPT.replace("n0 is n3 or n2", "n0 is n1 or n2"),
            "expected one of n1 and n2 to be reached from n0, got both",
        ),
        (PROMPT.replace("every n1 is n2 . ", ""), "expected one of n3 and n2 to be reached from n0, got none"),
        (PROMPT.replace("or n2 ?", "?"), "expected edges and a question"),
        (PROMPT.replace("every n1 is", "every n1"), "expected edges and a question"),
        ("", "expected edges and a question"),
    ],
)
def test_a_prompt_with_no_answer_or_two_is_refused(prompt: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        reached(prompt.split())


def test_the_key_depends_on_the_graph_alone() -> None:
    maker = Reachability(SPEC)
    problems = maker.problems(torch.arange(9), torch.arange(9))
    others = problems.clone()
    others[:, 14:] = 1

    assert torch.equal(maker.key(problems), maker.key(others))
    assert len(maker.key(problems).unique(dim=0)) == 9


def canonical(prompt: str) -> tuple[tuple[int, int], ...]:
    """The graph of a prompt, its nodes numbered from the start on in the way that makes its edges least."""
    start = prompt.rsplit(" . ", maxsplit=1)[-1].split(maxsplit=1)[0]
    pairs = [(parent, child) for parent, children in edges_of(prompt).items() for child in children]
    others = sorted({node for pair in pairs for node in pair} - {start})
    orders = (dict(zip((start, *order), range(len(others) + 1), strict=True)) for order in permutations(others))
    return min(tuple(sorted((order[one], order[other]) for one, other in pairs)) for order in orders)


def test_no_graph_is_in_two_splits_under_other_names() -> None:
    task = Graph(nodes=6, hops=2, train=300, validation=60, test=60).build()

    graphs = {}
    for split, size in task.sizes.items():
        rows = task.take(split, torch.arange(size)).data
        graphs[split] = {canonical(task.words(row).partition(" <think> ")[0]) for row in rows}

    assert all(len(each) > 1 for each in graphs.values())
    assert not graphs["train"] & graphs["validation"]
    assert not graphs["train"] & graphs["test"]
    assert not graphs["validation"] & graphs["test"]


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), nodes=st.integers(2, 12))
def test_the_hash_of_a_graph_depends_on_no_name(seed: int, nodes: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    edges = torch.rand(1, nodes, nodes, generator=generator).tril(-1) > 0.6
    order = torch.cat((torch.zeros(1, dtype=torch.int64), 1 + torch.randperm(nodes - 1, generator=generator)))

    assert shape_hash(edges[:, order][:, :, order]).equal(shape_hash(edges))
    assert shape_hash(nn.functional.pad(edges, (0, 1, 0, 1))).equal(shape_hash(edges))  # a node without an edge


def test_graphs_of_other_shapes_have_other_hashes() -> None:
    chain, fork, join, away = torch.zeros(4, 4, 4, dtype=torch.bool)
    chain[1, 0] = chain[2, 1] = fork[1, 0] = fork[2, 0] = join[2, 0] = join[2, 1] = away[2, 1] = away[3, 2] = True

    assert len(set(shape_hash(torch.stack((chain, fork, join, away))).flatten().tolist())) == 4
