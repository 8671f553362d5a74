"""The shape of a round follows what a step costs, and changes no id."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_basics.decoders.specs import Ancestral
from crt_verify.decoding.samples import Samples
from crt_verify.decoding.trial import Pair, run_trial
from crt_verify.lookup.decoder import TextDecoder, lookup_decoder
from crt_verify.lookup.drafting import Drafting
from crt_verify.lookup.growth import Node
from crt_verify.lookup.rates import Trust
from crt_verify.lookup.shape import Choice, Shaping, choose
from crt_verify.lookup.spec import Lookup
from crt_verify.lookup.step_cost import StepCost
from crt_verify.lookup.suffixes import SuffixDrafting
from crtcore import Limits, Sampling
from crtcore.kinds import Prior, Request

from .test_decoder import cycle, table


def costs(*seconds: float) -> StepCost:
    """Of 1, 2, ... nodes."""
    return StepCost(tuple(range(1, 1 + len(seconds))), seconds, "given")


def by_cost(
    cost: StepCost, nodes: int = 24, depth: int = 24, drafts: type[Drafting | SuffixDrafting] = Drafting
) -> TextDecoder:
    """The decoder on a machine where steps cost this."""

    def measure(prior: Prior, rows: int, most: int, device: torch.device) -> StepCost:
        return cost

    return TextDecoder(Lookup(nodes=nodes, depth=depth, shape="cost"), drafts, measure=measure)


def test_a_cost_is_on_a_line_between_nodes_that_were_measured_and_beyond_the_last() -> None:
    cost = StepCost((1, 2, 6), (1.0, 3.0, 5.0), "given")

    assert [cost(nodes) for nodes in (1, 2, 4, 6, 8)] == [1.0, 3.0, 4.0, 5.0, 6.0]
    assert StepCost((1,), (2.0,), "given")(7) == 2.0


@pytest.mark.parametrize(
    ("trees", "cost", "expected"),
    [
        ([[0.5, 0.25]], costs(1, 1, 1), Choice(2, 1.75)),  # free nodes: all of them
        ([[0.5, 0.25]], costs(1, 1.2, 2), Choice(1, 1.5 / 1.2)),
        ([[0.5, 0.25]], costs(1, 1.6, 2), Choice(0, 1.0)),  # a plain step
        ([[0.1, 0.1]], costs(1, 1.2, 1.1), Choice(2, 1.2 / 1.1)),  # two nodes cost less than one
        ([[0.9], []], costs(1, 1.4), Choice(1, 2.9 / 2 / 1.4)),  # two rows share the step
        ([[0.9], []], costs(1, 1.5), Choice(0, 1.0)),
        ([], costs(1, 2), Choice(0, 1.0)),
    ],
)
def test_nodes_are_those_of_the_most_ids_a_second(trees: list[list[float]], cost: StepCost, expected: Choice) -> None:
    choice = choose(trees, cost)

    assert choice.nodes == expected.nodes
    assert choice.gain == pytest.approx(expected.gain)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**20),
    vocabulary=st.integers(2, 6),
    prompts=st.lists(st.lists(st.integers(0, 1), max_size=12), min_size=1, max_size=3),
    temperature=st.sampled_from([0.0, 0.3, 1.0]),
    seconds=st.lists(st.floats(0.1, 3.0), min_size=2, max_size=9),
    drafts=st.sampled_from([Drafting, SuffixDrafting]),
)
def test_ids_are_those_of_ancestral_whatever_a_step_costs(
    seed: int, vocabulary: int, prompts: list[list[int]], temperature: float, seconds: list[float], drafts: Any
) -> None:
    target = table(seed, vocabulary)
    widest = max(map(len, prompts))
    prompt = torch.tensor([[*row, *[-1] * (widest - len(row))] for row in prompts], dtype=torch.int64)
    request = Request(prompt, Limits(length=20), Sampling(temperature=temperature))

    drafted = by_cost(costs(*seconds), nodes=8, depth=5, drafts=drafts).generate(target, request)

    assert torch.equal(drafted.ids, Ancestral().build().generate(target, request).ids)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**20), seconds=st.lists(st.floats(0.1, 3.0), min_size=2, max_size=5))
def test_the_distribution_is_that_of_ancestral_whatever_a_step_costs(seed: int, seconds: list[float]) -> None:
    request = Request(torch.tensor([[0, 1, 0, 1, 0]]), Limits(length=4), Sampling())
    target = table(seed, 3)

    stated = by_cost(costs(*seconds), nodes=4, depth=3).distribution(target, request)

    assert stated == pytest.approx(Ancestral().build().distribution(target, request), abs=1e-12)


def test_where_nodes_cost_a_step_each_nothing_is_drafted() -> None:
    request = Request(torch.tensor([[1]]), Limits(length=40), Sampling(temperature=0))

    dear = by_cost(costs(1.0, 2.0)).generate(cycle(2, 4), request)
    free = by_cost(costs(1.0, 1.0)).generate(cycle(2, 4), request)

    assert int(dear.proposed) == 0
    assert int(dear.target_calls) == 40
    assert int(free.target_calls) < 14


def test_the_choice_and_its_gain_are_noted() -> None:
    request = Request(torch.tensor([[1]]), Limits(length=6), Sampling(temperature=0))

    dear = by_cost(costs(0.25, 1.0)).generate(cycle(6, 8), request)
    plain = Lookup().build().generate(cycle(6, 8), request)

    assert dear.notes == (
        "milliseconds of a step by its nodes, given: 1: 250, 2: 1e+03",
        "5 rounds by cost, 5 of them plain steps; 0.0 drafted nodes in the mean; "
        "1.00 times the ids a second of plain steps expected",
    )
    assert plain.notes == ()


def test_notes_are_in_the_record_of_a_trial() -> None:
    target, prompt = cycle(6, 8), torch.tensor([[1]])
    pair = Pair(target, target, Sampling(temperature=0), seed=0)

    samples = Samples(prompt, torch.tensor([prompt.shape[1]] * len(prompt)), None)
    noted = run_trial(pair, by_cost(costs(1.0, 1.0)), samples, Limits(length=6))
    plain = run_trial(pair, Lookup().build(), samples, Limits(length=6))

    assert [note.partition(":")[0] for note in noted["notes"]] == [
        "milliseconds of a step by its nodes, given",
        "5 rounds by cost, 5 of them plain steps; 0.0 drafted nodes in the mean; "
        "1.00 times the ids a second of plain steps expected",
    ]
    assert "notes" not in plain


def test_the_choice_depends_on_what_was_emitted_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes: dict[tuple[int, ...], set[tuple[tuple[int, ...], ...]]] = {}
    original = Shaping.trees

    def trees(self: Shaping, rows: Sequence[Drafting | None], depths: Sequence[int]) -> list[list[Node]]:
        (tree,), (drafting,) = (proposed := original(self, rows, depths)), rows
        assert drafting is not None
        shapes.setdefault(tuple(drafting.history.ids), set()).add(tuple(node.path for node in tree))
        return proposed

    monkeypatch.setattr(Shaping, "trees", trees)
    target, prompt = table(5, 2, spread=0.5), torch.tensor([[0, 1, 0, 1, 0, 1]])

    for seed in range(40):
        request = Request(prompt, Limits(length=6), Sampling(), seeds=torch.tensor([seed]))
        by_cost(costs(1.0, 1.2, 1.5)).generate(target, request)

    assert len(shapes) > 10
    assert {len(tree) for each in shapes.values() for tree in each} > {1}  # plain steps, and others
    # Other rounds before the same ids teach other rates: after the first round of all seeds there is one shape alone.
    assert all(len(each) == 1 for ids, each in shapes.items() if len(ids) == 7)


def test_trust_falls_where_guesses_fail_and_comes_back() -> None:
    trust = Trust()
    before = trust.factor
    for _ in range(40):
        trust.note(0.5, came=False)
    low = trust.factor
    for _ in range(200):
        trust.note(0.5, came=True)

    assert before == 1.0
    assert low < 0.5
    assert trust.factor == 1.0


def test_nodes_are_trusted_less_the_deeper_they_are() -> None:
    drafting = Drafting([0, 1, 2, 3, 0, 1, 2, 3, 0, 1])
    tree = drafting.propose(8, 4)
    drafting.trust.note(4.0, came=False)

    chances = drafting.chances(tree)

    factor = drafting.trust.factor
    assert factor < 1
    assert chances == [pytest.approx(node.chance * factor ** len(node.path)) for node in tree[1:]]
    assert all(one >= two for one, two in pairwise(node.chance for node in tree[1:]))


def test_guesses_that_were_not_drafted_are_learned_from() -> None:
    drafting = Drafting([0, 1, 2, 0, 1, 2, 0, 1])
    drafting.propose(4, 4)
    drafting.observe([3])  # as a plain step emits it

    assert drafting.trust.factor < 1


def test_the_spec_measures_by_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    request = Request(torch.tensor([[1]]), Limits(length=6), Sampling(temperature=0))
    decoder = lookup_decoder(Lookup(nodes=2, shape="cost"))

    first, second = (decoder.generate(cycle(6, 8), request) for _ in range(2))

    assert "measured, as there was no file yet, and kept in" in first.notes[0]
    assert "read from" in second.notes[0]
    assert torch.equal(first.ids, second.ids)
