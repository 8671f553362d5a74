"""Verdicts from logits: distributions within 1e-5 of the reference's, for all number types and temperatures."""

from __future__ import annotations

import math

import attrs
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from crt_run.sampling import probabilities
from crt_verify import Tree
from crt_verify.tree import batch
from crt_verify.verdict import Fault, Verdict
from crtcore import Sampling

from ..rules.test_exact import FEW
from .cases import REFERENCE, differing, ragged, uniform
from .test_host import LAYOUTS, RULES

NEAR = 1e-5
NUMBERS = (torch.float32, torch.bfloat16, torch.float16)
VOCABULARY = 300


def logits_of(
    name: str, temperature: float, number: torch.dtype, seed: int = 0, sampling: Sampling | None = None
) -> tuple[Tree, Tensor, Tensor]:
    """A tree of three drafted ids with the logits of both, some of them -inf."""
    generator = torch.Generator().manual_seed(seed)
    draft = torch.randn(4, VOCABULARY, generator=generator) * 3
    target = draft + torch.randn(4, VOCABULARY, generator=generator)
    draft[:, ::7] = -math.inf
    target[:, 1::7] = -math.inf
    target, draft = target.to(number), draft.to(number)
    parents = (0, 1, 2) if REFERENCE[name].chain else (0, 0, 1)
    q = probabilities(draft, sampling or Sampling(temperature=temperature))
    tokens: list[int] = []
    for parent in parents:
        row = q[parent].clone()
        siblings = [x for x, above in zip(tokens, parents, strict=False) if above == parent]
        row[siblings] *= float((row > 0).sum() == 1)
        tokens.append(int(torch.multinomial(row, 1, generator=generator)))
    return Tree((-1, *parents), (-1, *tokens)), target, draft


def apart(one: dict[tuple[int, ...], float], other: dict[tuple[int, ...], float]) -> float:
    """Total variation."""
    return sum(abs(one.get(ids, 0) - other.get(ids, 0)) for ids in one.keys() | other.keys()) / 2


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0])
def test_the_distribution_from_logits_is_the_references(name: str, number: torch.dtype, temperature: float) -> None:
    tree, target, draft = logits_of(name, temperature, number)
    p, q = (probabilities(rows, Sampling(temperature=temperature)) for rows in (target, draft))

    chances = RULES[name].distribution(tree, target, draft, sampling=Sampling(temperature=temperature))

    assert apart(chances, REFERENCE[name].distribution(tree, p, q)) <= NEAR


@pytest.mark.parametrize("name", sorted(set(RULES) - {"kseq"}))  # which merges paths, whose rows differ here
def test_few_of_ten_thousand_verdicts_from_logits_differ(name: str) -> None:
    cases = uniform(ragged(name, seed=4), seed=5)
    logits = cases._replace(p=cases.p.log(), q=cases.q.log())

    verdict = RULES[name].from_logits(*logits, sampling=Sampling())

    # a test differs with probability NEAR, a walk makes at most 7: more than 10 rows differ below 1e-6
    assert differing(REFERENCE[name].verify(*cases), verdict) <= 10


CUTS = {
    "top-k": Sampling(top_k=5),
    "top-1": Sampling(top_k=1),
    "more than there are": Sampling(top_k=1000),
    "top-p": Sampling(top_p=0.8),
    "top-0": Sampling(top_p=0.0),
    "min-p": Sampling(min_p=0.1),
    "min-1": Sampling(min_p=1.0),
    "all": Sampling(top_k=9, top_p=0.7, min_p=0.02, temperature=1.5),
    "cold": Sampling(top_k=3, temperature=0.0),
}


def distribution_of(row: Tensor, sampling: Sampling) -> Tensor:
    """The distribution of one draw by the device code."""
    chances = RULES["single"].distribution(Tree([-1], [-1]), row[None], row[None], sampling=sampling)
    return torch.tensor([chances.get((x,), 0.0) for x in range(len(row))], dtype=torch.float64)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("number", NUMBERS)
@FEW
@given(seed=st.integers(0, 2**31), size=st.integers(1, 40), grain=st.sampled_from([0.0, 0.25, 1.0]))
def test_a_cut_keeps_what_the_reference_keeps(
    cut: str, number: torch.dtype, seed: int, size: int, grain: float
) -> None:
    row = 2 * torch.randn(size, generator=torch.Generator().manual_seed(seed))
    row = ((row / grain).round() * grain if grain else row).to(number)  # with ties, or without
    row[1:][torch.rand(size - 1, generator=torch.Generator().manual_seed(seed)) < 0.1] = -math.inf
    p = probabilities(row, CUTS[cut]).double()
    assume(not on_an_edge(row, CUTS[cut]))

    chances = distribution_of(row, CUTS[cut])

    assert (chances - p).abs().sum() / 2 <= NEAR


def on_an_edge(row: Tensor, sampling: Sampling) -> bool:
    """Whether a mass before an id, or a probability, is so near to its limit that rounding decides."""
    chances = torch.softmax(row.double() / (sampling.temperature or 1), -1).sort(descending=True).values
    before = (chances.cumsum(0) - chances)[1:] - (sampling.top_p if sampling.top_p < 1 else math.inf)
    below = chances[chances < chances[0]] - (sampling.min_p * chances[0] or math.inf)
    return bool((torch.cat([before, below]).abs() < 1e-6).any())


@pytest.mark.parametrize("cut", ["top-k", "top-p", "min-p"])
def test_another_cut_is_detected(cut: str) -> None:
    row = torch.arange(30) / 10
    others = {"top-k": Sampling(top_k=6), "top-p": Sampling(top_p=0.85), "min-p": Sampling(min_p=0.12)}

    chances = distribution_of(row, CUTS[cut])

    assert (chances - probabilities(row, others[cut])).abs().sum() / 2 > NEAR


@pytest.mark.parametrize("sampling", [Sampling(top_k=3_000), Sampling(top_k=2**63), Sampling(min_p=1e-40)], ids=str)
@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_a_cut_of_nothing_changes_no_bit(sampling: Sampling, temperature: float) -> None:
    row = 4 * torch.randn(3_000, generator=torch.Generator().manual_seed(0))
    row[::3] = -math.inf

    chances = distribution_of(row, attrs.evolve(sampling, temperature=temperature))

    assert torch.equal(chances, distribution_of(row, Sampling(temperature=temperature)))


@pytest.mark.parametrize("temperature", [5e-324, 1e-45, 1e38, 1e300])
def test_temperatures_beyond_float32_are_the_references(temperature: float) -> None:
    row = torch.tensor([1.0, 3.0, -math.inf, 3.0])

    chances = distribution_of(row, Sampling(temperature=temperature))

    expected = [0, 0.5, 0, 0.5] if temperature < 1 else [1 / 3, 1 / 3, 0, 1 / 3]
    assert chances.tolist() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("name", RULES)
def test_the_distribution_of_a_tree_of_cut_rows_is_the_references(name: str) -> None:
    sampling = Sampling(top_k=20, top_p=0.9, temperature=1.5)
    tree, target, draft = logits_of(name, 1.0, torch.float32, sampling=sampling)
    p, q = (probabilities(rows, sampling) for rows in (target, draft))

    chances = RULES[name].distribution(tree, target, draft, sampling=sampling)

    assert apart(chances, REFERENCE[name].distribution(tree, p, q)) <= NEAR


def test_banned_ids_are_refused() -> None:
    tree, target, draft = logits_of("single", 1.0, torch.float32)
    one, sampling = batch([tree]), Sampling(banned=(3,))
    uniforms = torch.zeros_like(one.tokens)

    with pytest.raises(ValueError, match=r"expected logits with -inf for banned ids, got \(3,\)"):
        RULES["single"].from_logits(one, target[None], draft[None], uniforms, uniforms, sampling=sampling)


@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_a_row_of_many_ids_is_as_near(temperature: float) -> None:
    logits = 3 * torch.randn(1, 32_000, generator=torch.Generator().manual_seed(0))
    p = probabilities(logits, Sampling(temperature=temperature))

    sampling = Sampling(temperature=temperature)
    chances = RULES["single"].distribution(Tree([-1], [-1]), logits, logits, sampling=sampling)

    assert apart(chances, {(x,): each for x, each in enumerate(p[0].tolist())}) <= NEAR


def test_another_temperature_is_detected() -> None:
    tree, target, draft = logits_of("recursive", 1.0, torch.float32)
    p, q = (probabilities(rows, Sampling(temperature=1.001)) for rows in (target, draft))

    chances = RULES["recursive"].distribution(tree, target, draft, sampling=Sampling())

    assert apart(chances, REFERENCE["recursive"].distribution(tree, p, q)) > NEAR


def drawn(name: str, target: Tensor, draft: Tensor, tree: Tree, layout: str) -> Verdict:
    one = batch([tree])
    uniforms = torch.zeros_like(one.tokens)
    rule = attrs.evolve(RULES[name], layout=layout)
    return rule.from_logits(one, target[None], draft[None], uniforms, uniforms, sampling=Sampling())


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("value", "kind"), [(value, Fault.TARGET_ENTRY) for value in (math.nan, math.inf, None)])
def test_a_row_without_a_finite_peak_is_a_fault(name: str, layout: str, value: float | None, kind: int) -> None:
    tree, target, draft = logits_of(name, 1.0, torch.float32)
    target[0, :] = -math.inf if value is None else target[0]
    target[0, 5] = -math.inf if value is None else value

    verdict = drawn(name, target, draft, tree, layout)

    assert (verdict.fault.tolist(), verdict.final.tolist()) == ([kind], [-1])


@pytest.mark.parametrize("name", sorted(set(RULES) - {"target-only"}))
def test_an_id_that_is_impossible_under_the_draft_is_a_fault(name: str) -> None:
    tree, target, draft = logits_of(name, 1.0, torch.float32)
    draft[0, tree.tokens[2 if name == "greedy" else 1]] = -math.inf

    verdict = drawn(name, target, draft, tree, "path-serial")

    assert verdict.fault.tolist() == [Fault.RULED_OUT]


def test_a_row_that_no_walk_reads_is_not_checked() -> None:
    tree, target, draft = logits_of("recursive", 1.0, torch.float32)
    target[0, tree.tokens[1]] = 50.0  # the first child is accepted
    target[2] = math.nan

    verdicts = [drawn("recursive", target, draft, tree, layout) for layout in LAYOUTS]

    assert [verdict.fault.tolist() for verdict in verdicts] == [[0], [0]]


def test_probabilities_of_two_kinds_and_wide_logits_are_refused() -> None:
    tree, target, draft = logits_of("single", 1.0, torch.float32)

    with pytest.raises(ValueError, match=r"expected logits of one type, .* got torch\.float64 and torch\.float32"):
        drawn("single", target.double(), draft, tree, "path-serial")
