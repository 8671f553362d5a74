"""Decoding steps of the bench: caches, acceptance and times."""

from __future__ import annotations

import itertools
import math
import time
from typing import NamedTuple

import end_to_end
import pytest
import timed_step
import torch
from end_to_end import DRAFTERS, PAIRS, built, summary
from timed_step import END, REPLACED, Clock, Setup, Steps, logits_with_overlap
from torch import Tensor

from crt_ar.llama.network import LlamaTransformer
from crt_ar.llama.spec import Llama
from crt_verify.drafters import Beam, Chain, Drafter
from crt_verify.kernels import host

PARTS = {"sampling", "draft forward", "target forward", REPLACED, "verification", "commit", "draft commit"}
SMALL: dict[str, tuple[Drafter, str]] = {
    "chain": (Chain(length=3), "single"),
    "beam": (Beam(width=3, length=2), "recursive"),
}


def prior(seed: int, vocabulary: int = 16, *, layers: int) -> LlamaTransformer:
    """A small Llama whose logits depend on all its input."""
    generator = torch.Generator().manual_seed(seed)
    spec = Llama(size="Llama-3.1-8B", layers=layers, width=16, heads=2, key_heads=2, hidden=24)
    built = spec.build(vocabulary, 0, None).requires_grad_(False)
    for weight in built.parameters():
        weight.copy_(torch.randn(weight.shape, generator=generator) * (1 if weight.dim() == 1 else 0.3))
    return built


def steps_of(name: str, *, together: bool, rows: int = 5, steps: int = 4) -> Steps:
    """Steps after prompts of seven ids."""
    drafter, rule = SMALL.get(name) or DRAFTERS[name]
    setup = Setup(prior(0, layers=2), prior(1, layers=1), drafter, host.rule(rule), 0.7)
    prompt = torch.randint(16, (rows, 7), generator=torch.Generator().manual_seed(2))
    clock = Clock(time.perf_counter, lambda start, stop: stop - start)
    return Steps(setup, prompt, clock, steps=steps, together=together)


class Apart(NamedTuple):
    """How far logits after some steps are from those of one pass over the kept ids."""

    target: float
    draft: float


def apart(name: str, *, together: bool) -> Apart:
    steps = steps_of(name, together=together)
    rows = torch.randint(16, (5, 7), generator=torch.Generator().manual_seed(2)).tolist()
    lengths: set[int] = set()
    for _ in range(4):
        root = steps.last.tolist()
        verdict, new = steps.step()
        assert verdict.fault.tolist() == [0] * 5
        lengths |= set(verdict.length.tolist())
        kept = [[x for x in row if x >= 0] for row in new.tolist()]
        rows = [[*row, first, *rest] for row, first, rest in zip(rows, root, kept, strict=True)]
    assert len(lengths) > 2
    whole = [torch.tensor([[*row, last]]) for row, last in zip(rows, steps.last.tolist(), strict=True)]
    late = steps.drafting.late  # the last id is its last one that is there
    logits = steps.target.session.extend(steps.last[:, None])[:, 0]
    drafted = steps.draft.session.extend(late)[torch.arange(5), (late[:, 1] >= 0).long()]
    return Apart(*(_apart(*pair, whole) for pair in ((prior(0, layers=2), logits), (prior(1, layers=1), drafted))))


def _apart(network: LlamaTransformer, logits: Tensor, whole: list[Tensor]) -> float:
    return float((logits - torch.stack([network(ids)[0, -1] for ids in whole])).abs().max())


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("together", [True, False])
def test_after_steps_the_cache_is_that_of_the_kept_ids(name: str, together: bool) -> None:
    error = apart(name, together=together)

    assert max(error) < 1e-4


def test_a_cache_that_is_not_committed_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed_step, "commit", lambda *_: None)

    error = apart("beam", together=True)

    assert min(error) > 1e-2


@pytest.mark.parametrize("overlap", [0.3, 0.7, 0.95])
@pytest.mark.parametrize("number", [torch.float32, torch.bfloat16])
def test_a_pair_of_distributions_has_the_chosen_overlap(overlap: float, number: torch.dtype) -> None:
    pair = [logits.to(number).double().softmax(-1) for logits in logits_with_overlap(overlap, 32_000)]

    common = torch.minimum(*pair).sum().item()

    assert common == pytest.approx(overlap, abs=1e-6 if number == torch.float32 else 0.01)


def test_a_chain_is_accepted_at_the_rate_of_its_overlap() -> None:
    rows, count = 1000, 2
    steps = steps_of("chain 5", together=False, rows=rows, steps=count)

    lengths = torch.cat([steps.step()[0].length for _ in range(count)])

    bound = 5 * math.sqrt(math.log(2e6) / (2 * rows * count))  # Hoeffding's, at a false-alarm rate of 1e-6: 0.31
    assert abs(lengths.double().mean().item() - sum(0.7**i for i in range(1, 6))) < bound


@pytest.mark.parametrize("name", SMALL)
def test_every_part_of_a_step_is_timed(name: str) -> None:
    steps = steps_of(name, together=True)

    for _ in range(2):
        steps.step()

    spent = steps.clock.spent()
    assert [set(step) for step in spent] == [PARTS] * 2
    assert 0 < summary(spent)["share"] < 1


def test_repeated_parts_add_up_and_time_between_steps_does_not_count() -> None:
    clock = Clock(itertools.count().__next__, lambda start, stop: stop - start)
    for part in ("a", "b", "a", END, "a", END):
        clock(part)

    spent = clock.spent()

    assert spent == [{"a": 2, "b": 1}, {"a": 1}]
    assert clock.spent() == []


def test_the_share_leaves_out_the_replacement_of_logits() -> None:
    parts = {"verification": 1.0, "commit": 2.0, "draft commit": 3.0, REPLACED: 50.0, "target forward": 94.0}

    parted = summary([parts])

    assert parted["share"] == pytest.approx(0.06)


@pytest.mark.parametrize(("name", "size"), [("7B", 6_738_415_616), ("135M", 134_515_008)])
def test_the_targets_have_the_published_sizes(name: str, size: int) -> None:
    with torch.device("meta"):
        target = LlamaTransformer(PAIRS[name].target, PAIRS[name].vocabulary, None, start=1)

    assert sum(map(Tensor.numel, target.parameters())) == size


@pytest.mark.parametrize("name", PAIRS)
def test_a_draft_is_far_smaller_than_its_target(name: str) -> None:
    with torch.device("meta"):
        sizes = [
            sum(map(Tensor.numel, LlamaTransformer(shape, PAIRS[name].vocabulary, None, start=1).parameters()))
            for shape in (PAIRS[name].target, PAIRS[name].draft)
        ]

    assert sizes[1] < sizes[0] / 2


def test_missing_memory_is_recorded_and_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(end_to_end, "measured", full)
    target, draft = built(PAIRS["small"])

    outcome = end_to_end.fitting(
        Setup(target, draft, *DRAFTERS["chain 5"], 0.7), torch.zeros(1, 2, dtype=torch.int64), 1, together=True
    )

    assert outcome == {"not run": "CUDA out of memory"}
