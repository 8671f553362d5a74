"""Forms of traces in training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crt_latent.mixing.alphabet import Alphabet
from crt_latent.mixing.mixed import Chunking
from crt_latent.mixing.replacement import Occasion
from crt_latent.reasoning.forms import Form, internalised
from crt_latent.reasoning.spec import LatentReasoning
from crt_latent.traces import Trace, lengths, split_trace
from crtcore import Noise

ALPHABET = Alphabet(9, 4)  # text 0 to 5, delimiters 6 to 8, codes 9 to 12, bracket 13 and 14
THINK, ANSWER, END = 6, 7, 8
FILLERS = (4, 5)
TRACE = Trace(
    torch.tensor([[0, 1, -1], [2, 2, 3]]),
    torch.tensor([[4, 0, 1, 5, 2, 3, 4, 1, 2], [5, 1, 1, 4, 3, 0, -1, -1, -1]]),
    torch.tensor([[3], [0]]),
)
CODES = torch.tensor([[0, 1, 2, 3, -1], [3, 2, 1, -1, -1]])


def form(**fields: Any) -> Form:
    """Chunks of four ids with a code for every two."""
    spec = LatentReasoning(**fields)
    return Form(spec.trace, spec.replacement, spec.ceilings, Chunking(4, 2), ALPHABET, FILLERS, Noise(0, "which"), 24)


def steps(progress: float = 0.0, **fields: Any) -> list[list[int]]:
    """Returns the ids between <think> and <answer> of each row."""
    occasion = Occasion(torch.arange(2), torch.zeros(2, dtype=torch.int64), progress)
    rows = form(**fields).rows(TRACE, CODES, occasion)
    trace = split_trace(rows, ALPHABET.text)
    assert torch.equal(trace.prompt, TRACE.prompt)
    assert torch.equal(trace.solution, TRACE.solution)
    return [[id_ for id_ in row if id_ >= 0] for row in trace.steps.tolist()]


def test_an_answer_alone_has_no_steps() -> None:
    assert steps(trace="answer-only") == [[], []]


def test_a_chain_of_thought_has_all_steps() -> None:
    assert steps(trace="cot") == [[4, 0, 1, 5, 2, 3, 4, 1, 2], [5, 1, 1, 4, 3, 0]]


def test_a_stripped_trace_has_no_fillers() -> None:
    assert steps(trace="stripped") == [[0, 1, 2, 3, 1, 2], [1, 1, 3, 0]]


def test_pauses_are_one_symbol_for_each_code_of_a_whole_chunk() -> None:
    assert steps(trace="pause") == [[13, 9, 9, 9, 9, 14], [13, 9, 9, 14]]


def test_with_all_chunks_replaced_the_rest_is_text() -> None:
    assert steps(trace="latent", replacement="all") == [[13, 9, 10, 11, 12, 14, 2], [13, 12, 11, 14, 3, 0]]


@pytest.mark.parametrize(("progress", "gone"), [(0.0, 0), (0.1, 0), (0.4, 0.5), (0.7, 1), (1.0, 1)])
def test_implicit_reasoning_loses_its_steps_from_the_left(progress: float, gone: float) -> None:
    whole = steps(trace="cot")

    left = steps(progress, trace="icot")

    assert left == [row[round(gone * len(row)) :] for row in whole]


@given(st.floats(0, 1), st.floats(0, 1))
def test_implicit_reasoning_never_gains_a_step(one: float, other: float) -> None:
    before, after = (internalised(TRACE.steps, progress) for progress in sorted((one, other)))

    assert (lengths(after) <= lengths(before)).all()


@pytest.mark.parametrize(("replacement", "counts"), [("curriculum", (0, 1, 2)), ("all", (2, 2, 2))])
def test_each_strategy_replaces_its_number_of_chunks(replacement: str, counts: tuple[int, ...]) -> None:
    rows = [steps(progress, trace="latent", replacement=replacement)[0] for progress in (0.0, 0.5, 1.0)]

    assert [sum(9 <= id_ < 13 for id_ in row) // 2 for row in rows] == list(counts)


def test_randomised_replacement_differs_between_epochs_but_not_when_repeated() -> None:
    made = form(ceilings=(0, 4, 8))
    samples = torch.arange(2)

    def rows(epoch: int) -> Any:
        return made.rows(TRACE, CODES, Occasion(samples, torch.full((2,), epoch), 0.5)).tolist()

    assert all(rows(epoch) == rows(epoch) for epoch in range(8))
    assert len({str(rows(epoch)) for epoch in range(8)}) > 1
