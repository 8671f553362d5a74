"""Measurements of answers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crt_latent.mixing.alphabet import Alphabet
from crt_latent.mixing.mixed import Chunking, mixed
from crt_latent.reasoning.answers import Answers
from crt_latent.reasoning.numbers import counted, measured, share
from crt_latent.traces import Trace, join_trace

ALPHABET = Alphabet(9, 4)


@given(st.integers(1, 30), st.integers(1, 3), st.sampled_from([(4, 2), (6, 6), (3, 1)]), st.data())
def test_an_answer_with_m_ids_replaced_has_t_less_m_and_m_over_r_and_two(
    steps: int, solution: int, chunking: tuple[int, int], data: st.DataObject
) -> None:
    length, rate = chunking
    chunks = data.draw(st.integers(0, steps // length))
    trace = Trace(
        torch.zeros(1, 0, dtype=torch.int64),
        torch.zeros(1, steps, dtype=torch.int64),
        torch.ones(1, solution, dtype=torch.int64),
    )
    codes = torch.zeros(1, steps, dtype=torch.int64)
    chosen = (torch.arange(steps // length) < chunks)[None]
    answer = join_trace(mixed(trace, codes, chosen, chunking=Chunking(*chunking), alphabet=ALPHABET), 9)[:, 1:]

    counts = counted(answer, trace, rate=rate, alphabet=ALPHABET)

    t, m = steps + solution + 2, chunks * length
    assert int(counts.tokens) == t - m + m // rate + (2 if m else 0)
    assert int(counts.latent) == m // rate
    assert int(counts.text) == t - m
    assert int(counts.mechanical) == int(counts.saved) == (m - m // rate - 2 if m else 0)


def test_omitted_text_is_no_mechanical_saving() -> None:
    trace = Trace(*(torch.zeros(2, size, dtype=torch.int64) for size in (1, 8, 1)))
    answers = Answers(
        torch.tensor([[0, 0, 7, 0, 8, -1], [13, 9, 14, 7, 0, 8]]), torch.ones(2, dtype=torch.bool), torch.zeros(2) > 0
    )

    numbers = measured(
        counted(answers.ids, trace, rate=4, alphabet=ALPHABET), answers, torch.tensor([True, False]), free=True
    )

    assert numbers["accuracy"].value == 0.5
    assert numbers["tokens"].value == 5.5
    assert numbers["saving_mechanical"].value == (0 + (4 - 1 - 2)) / 2
    assert numbers["saving_chosen"].value == (6 + (5 - 1)) / 2


def test_a_share_has_wilsons_interval() -> None:
    counts = share(torch.zeros(10, dtype=torch.bool), "")

    assert (counts.value, counts.low) == (0, 0)
    assert counts.high == pytest.approx(1.959964**2 / (10 + 1.959964**2))


@pytest.mark.parametrize("count", [1, 37, 200, 1000])
def test_an_interval_holds_shares_of_0_and_1(count: int) -> None:  # where rounding would leave them outside
    for hits in (torch.zeros(count, dtype=torch.bool), torch.ones(count, dtype=torch.bool)):
        counts = share(hits, "")

        assert counts.low is not None
        assert counts.high is not None
        assert counts.low <= counts.value <= counts.high
