"""The ways of tree attention that the bench times compute a plain sum."""

from __future__ import annotations

import attention
import pytest
import torch
from attention import ROUNDINGS, WAYS, Step, drawn, masked, off, reference, tried, worst
from drafted import SHAPES
from hypothesis import given, settings
from hypothesis import strategies as st

HERE = {name: way for name, way in WAYS.items() if name != "xformers"}
"""Ways that run on a CPU."""
FEW = settings(max_examples=25, deadline=None, derandomize=True, database=None)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Requests, each with its own tree."""
    requests, nodes = draw(st.integers(1, 3)), draw(st.integers(1, 9))
    trees = [[-1, *(draw(st.integers(0, node - 1)) for node in range(1, nodes))] for _ in range(requests)]
    each = [drawn(tuple(tree), 1, 5, like=torch.empty(0), heads=2, seed=seed) for seed, tree in enumerate(trees)]
    return Step(*map(torch.cat, zip(*each, strict=True)))


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("number", [torch.float32, torch.bfloat16])
def test_a_way_computes_the_plain_sum_on_every_tree_of_the_table(name: str, number: torch.dtype) -> None:
    error = worst(HERE[name], torch.empty(0, dtype=number))

    assert error <= ROUNDINGS


@pytest.mark.parametrize("name", HERE)
@FEW
@given(step=steps())
def test_a_way_computes_the_plain_sum_on_a_tree_for_each_request(name: str, step: Step) -> None:
    error = off(HERE[name], step)

    assert error <= ROUNDINGS


@pytest.mark.parametrize("number", [torch.float32, torch.bfloat16])
def test_a_node_that_reads_a_sibling_is_noticed(number: torch.dtype) -> None:
    step = drawn(SHAPES["rsd-s (5,6)"], 2, 8, like=torch.empty(0, dtype=number), heads=2)
    line = step.line.clone()
    line[:, 2, 1] = True

    error = off(lambda like: masked(like._replace(line=line)), step)

    assert error > ROUNDINGS


def test_parts_joined_by_equal_shares_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "joined", lambda one, other: (one.mixed + other.mixed) / 2)

    error = off(WAYS["sdpa, two parts"], drawn(SHAPES["chain 5"], 2, 8, like=torch.empty(0), heads=2))

    assert error > ROUNDINGS


def test_the_operators_of_a_gpu_take_and_give_these_shapes() -> None:
    step = drawn(SHAPES["rsd-s (5,6)"], 2, 8, like=torch.empty(0, dtype=torch.bfloat16))
    there = Step(*(field.to("meta") for field in step))

    mixed = WAYS["sdpa, two parts"](there)(there)

    assert (mixed.shape, mixed.dtype) == (step.query.shape, torch.bfloat16)


def test_with_equal_keys_a_node_reads_the_mean_of_the_cache_and_its_ancestors() -> None:
    step = drawn((-1, 0, 0, 1), 1, 2, like=torch.empty(0), heads=1)
    seen = [[0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 4], [0, 1, 2, 3, 5]]

    mixed = reference(step._replace(key=torch.zeros_like(step.key)))

    expected = torch.stack([step.value[:, places].mean(1) for places in seen], 1)
    torch.testing.assert_close(mixed, expected)


def test_a_way_that_cannot_run_gives_the_reason() -> None:
    reason = tried(worst, WAYS["xformers"], torch.empty(0))

    assert str(reason).startswith("not run: xformers")
