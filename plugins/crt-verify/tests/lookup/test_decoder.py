"""The decoder that drafts from the text: the ids of plain decoding, in fewer calls where text repeats itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_basics.decoders.specs import Ancestral
from crt_basics.priors.table import TablePrior
from crt_verify.lookup.decoder import _Row
from crt_verify.lookup.growth import Node
from crt_verify.lookup.spec import Lookup, Suffix
from crtcore import Limits, Sampling
from crtcore.kinds import Request


def table(seed: int, vocabulary: int, spread: float = 2.0) -> TablePrior:
    generator = torch.Generator().manual_seed(seed)
    shape = 1, (vocabulary + 1) ** 2, vocabulary
    return TablePrior(spread * torch.randn(shape, generator=generator, dtype=torch.float64))


def cycle(period: int, vocabulary: int) -> TablePrior:
    """After x comes x + 1, and after the last of `period` ids the first."""
    logits = torch.full((1, vocabulary + 1, vocabulary), -torch.inf, dtype=torch.float64)
    for x in range(vocabulary + 1):
        logits[0, x, (x + 1) % period] = 0
    return TablePrior(logits)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**20),
    vocabulary=st.integers(2, 6),
    prompts=st.lists(st.lists(st.integers(0, 1), max_size=12), min_size=1, max_size=3),
    temperature=st.sampled_from([0.0, 0.3, 1.0]),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 6)),
    stop=st.sampled_from([(), (1,)]),
)
def test_its_ids_are_those_of_ancestral(
    seed: int, vocabulary: int, prompts: list[list[int]], temperature: float, shape: tuple[int, int], stop: tuple[int]
) -> None:
    target = table(seed, vocabulary)
    widest = max(map(len, prompts))
    prompt = torch.tensor([[*row, *[-1] * (widest - len(row))] for row in prompts], dtype=torch.int64)
    seeds = torch.arange(len(prompts)) + seed
    request = Request(prompt, Limits(length=20, stop=stop), Sampling(temperature=temperature), seeds=seeds)

    plain = Ancestral().build().generate(target, request).ids
    for spec in (Lookup, Suffix):
        drafted = spec(nodes=shape[0], depth=shape[1]).build().generate(target, request)
        assert torch.equal(drafted.ids, plain)


def test_earlier_outputs_save_calls_and_change_no_id(tmp_path: Path) -> None:
    (tmp_path / "earlier.jsonl").write_text(json.dumps([x % 40 for x in range(41)]))
    target = cycle(40, 40)
    request = Request(torch.tensor([[39]]), Limits(length=40), Sampling(temperature=0))

    plain = Suffix().build().generate(target, request)
    generation = Suffix(corpus=str(tmp_path / "earlier.jsonl"), nodes=8, depth=8).build().generate(target, request)

    assert torch.equal(generation.ids, plain.ids)
    assert int(plain.target_calls) == 40
    assert int(generation.target_calls) <= 10


def test_a_corpus_of_another_vocabulary_is_refused(tmp_path: Path) -> None:
    (tmp_path / "earlier.jsonl").write_text("[3, 8, 1]")
    decoder = Suffix(corpus=str(tmp_path / "earlier.jsonl")).build()
    request = Request(torch.tensor([[1]]), Limits(length=2), Sampling())

    with pytest.raises(ValueError, match="expected a corpus of ids below 8, the target's, got 8"):
        decoder.generate(cycle(8, 8), request)
    with pytest.raises(ValueError, match="expected a corpus of ids below 8, the target's, got 8"):
        decoder.distribution(cycle(8, 8), request)


@pytest.mark.parametrize("spec", [Lookup, Suffix])
@pytest.mark.parametrize("period", [1, 2, 7])
def test_text_that_repeats_itself_takes_few_calls(period: int, spec: type[Lookup | Suffix]) -> None:
    target, length = cycle(period, 8), 96
    request = Request(torch.tensor([[period - 1]]), Limits(length=length), Sampling(temperature=0))

    generation = spec(nodes=8, depth=8).build().generate(target, request)

    assert generation.ids[0].tolist() == [x % period for x in range(length)]
    # A period to see it once, some plain steps until matches are long, then nine ids a call.
    assert int(generation.target_calls) <= 2 * period + 4 + length // 9


def test_text_that_never_repeats_is_decoded_by_plain_steps() -> None:
    target = cycle(40, 40)
    request = Request(torch.tensor([[39]]), Limits(length=40), Sampling(temperature=0))

    generation = Lookup().build().generate(target, request)

    assert int(generation.proposed) == 0
    assert int(generation.target_calls) == 40


def test_a_row_that_has_ended_costs_no_call() -> None:
    target = cycle(5, 6)
    request = Request(torch.tensor([[0], [4]]), Limits(length=30, stop=(3,)), Sampling(temperature=0))

    generation = Lookup().build().generate(target, request)

    assert generation.ids[:, :5].tolist() == [[1, 2, 3, -1, -1], [0, 1, 2, 3, -1]]
    assert generation.target_calls.tolist() == [3, 4]
    assert generation.accepted.tolist() == [[0, 0, 0, -1], [0, 0, 0, 0]]


def test_a_walk_that_takes_a_wrong_node_has_another_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    target = table(3, 2)
    request = Request(torch.tensor([[0, 1, 0, 1, 0]]), Limits(length=5), Sampling())
    right = Lookup(nodes=4, depth=3).build().distribution(target, request)
    original = _Row.begin

    def begin(row: _Row, tree: Sequence[Node]) -> None:
        original(row, tree)
        row._children = {(parent, 1 - x): index for (parent, x), index in row._children.items()}

    monkeypatch.setattr(_Row, "begin", begin)
    wrong = Lookup(nodes=4, depth=3).build().distribution(target, request)

    assert right == pytest.approx(Ancestral().build().distribution(target, request), abs=1e-12)
    assert sum(abs(right[row] - wrong.get(row, 0)) for row in right) > 0.1


@pytest.mark.parametrize("spec", [Lookup(), Ancestral()])
def test_a_generation_can_be_trained_on(spec: Lookup | Ancestral) -> None:
    """Decoders run in inference mode, whose tensors autograd refuses to keep."""
    embedding = torch.nn.Embedding(8, 2)
    request = Request(torch.tensor([[1]]), Limits(length=6), Sampling(temperature=0))

    generation = spec.build().generate(cycle(6, 8), request)

    embedding(generation.ids).square().sum().backward()
    assert not any(part.is_inference() for part in generation if isinstance(part, torch.Tensor))
