"""Answers by guesses are those of a decoder, id by id."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from crt_basics.decoders.ancestral import AncestralDecoder
from crt_basics.priors.table import TablePrior
from crt_latent.reasoning.guesses import by_guesses
from crtcore.kinds import Prior, Request
from crtcore.settings import Limits, Sampling

VOCABULARY, LENGTH, END = 6, 12, 5
PROMPTS = torch.tensor([[0, 1, 2], [3, 4, -1], [2, -1, -1], [4, 0, 3]] * 5)


def prior(seed: int) -> TablePrior:
    """A prior whose next id depends on two ids before."""
    generator = torch.Generator().manual_seed(seed)
    return TablePrior(torch.randn(1, (VOCABULARY + 1) ** 2, VOCABULARY, generator=generator))


def greedy(target: Prior, prompts: Tensor, length: int, banned: tuple[int, ...]) -> Tensor:
    sampling = Sampling(temperature=0.0, banned=banned)
    request = Request(prompts, Limits(length=length, stop=(END,)), sampling, seeds=torch.arange(len(prompts)))
    return AncestralDecoder().generate(target, request).ids


def settled(target: Any, *guesses: Tensor, banned: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
    with torch.inference_mode():
        return by_guesses(target, PROMPTS, guesses, length=LENGTH, stop=(END,), banned=banned)


@pytest.mark.parametrize("banned", [(), (1, 3)])
@pytest.mark.parametrize("seed", range(5))
def test_what_guesses_settle_is_the_beginning_of_the_greedy_row(seed: int, banned: tuple[int, ...]) -> None:
    expected = greedy(prior(seed), PROMPTS, LENGTH, banned)
    generator = torch.Generator().manual_seed(seed)
    wrong = torch.randint(VOCABULARY, expected.shape, generator=generator)
    partly = expected.where((torch.rand(expected.shape, generator=generator) < 0.8) & (expected >= 0), wrong)

    for guesses in ([wrong], [partly], [wrong, partly], [wrong[:, :3], expected]):
        ids, ended = settled(prior(seed), *guesses, banned=banned)

        there = ids >= 0
        assert torch.equal(ids[there], expected[there])
        assert torch.equal(ids[ended], expected[ended])


def test_a_right_guess_settles_every_row_in_one_pass() -> None:
    expected, calls = greedy(prior(0), PROMPTS, LENGTH, ()), []

    class Counted(TablePrior):
        def forward(self, ids: Tensor, *rest: Any, **more: Any) -> Tensor:
            calls.append(len(ids))
            return super().forward(ids, *rest, **more)

    ids, ended = settled(Counted(prior(0).logits), expected)

    assert torch.equal(ids, expected)
    assert ended.all()
    assert calls == [len(PROMPTS)]


def test_a_second_guess_goes_on_where_the_first_fails() -> None:
    expected = greedy(prior(0), PROMPTS, LENGTH, ())
    wrong = expected.clone()
    wrong[:, 1] = (wrong[:, 1] + 1) % VOCABULARY

    ids, ended = settled(prior(0), wrong, expected)

    assert torch.equal(ids, expected)
    assert ended.all()


def test_an_id_that_leads_by_a_rounding_is_left_to_the_decoder() -> None:
    logits = torch.zeros(1, VOCABULARY + 1, VOCABULARY)
    logits[..., 2], logits[..., 3] = 1.0, 1.0 - 1e-13
    guess = torch.full((len(PROMPTS), LENGTH), 2)

    ids, ended = settled(TablePrior(logits), guess)

    assert (ids == -1).all()
    assert not ended.any()


def test_logits_that_are_no_numbers_settle_nothing() -> None:
    broken = TablePrior(torch.full((1, VOCABULARY + 1, VOCABULARY), torch.nan))

    ids, ended = settled(broken, torch.zeros(len(PROMPTS), LENGTH, dtype=torch.int64))

    assert (ids == -1).all()
    assert not ended.any()
