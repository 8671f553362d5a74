"""Mixing: the length formula, the identity, unmixing, and errors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from crt_latent.mixing.alphabet import Alphabet
from crt_latent.mixing.mixed import Chunking, mixed, unmixed, whole_chunks
from crt_latent.mixing.replacement import leftmost
from crt_latent.traces import Trace, delimiters, join_trace, lengths, loss_weights, split_trace

TEXT = 12
ALPHABET = Alphabet(TEXT, codes=30)
THINK, ANSWER, END = delimiters(TEXT)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Trace, Tensor, Chunking]:
    """Ragged traces, with codes for all whole chunks of their steps."""
    rate, each = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    chunking = Chunking(rate * each, rate)
    counts = draw(st.lists(st.integers(0, 14), min_size=1, max_size=4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    parts = []
    for sizes in ([len(counts) - row for row in range(len(counts))], counts, [2] * len(counts)):
        ids = torch.randint(TEXT - 3, (len(counts), max(sizes)), generator=generator)
        parts.append(ids.masked_fill(torch.arange(max(sizes)) >= torch.tensor(sizes)[:, None], -1))
    trace = Trace(*parts)
    held = whole_chunks(trace.steps, chunking) * each
    codes = torch.randint(ALPHABET.codes, (len(counts), 14 // rate), generator=generator)
    return trace, codes.masked_fill(torch.arange(codes.shape[1]) >= held[:, None], -1), chunking


def left(trace: Trace, codes: Tensor, chunking: Chunking, chunks: Tensor) -> Trace:
    chosen = leftmost(chunks, whole_chunks(trace.steps, chunking))
    return mixed(trace, codes, chosen, chunking=chunking, alphabet=ALPHABET)


def there(ids: Tensor) -> list[list[int]]:
    return [[id_ for id_ in row if id_ >= 0] for row in ids.tolist()]


@given(cases(), st.integers(0, 16))
def test_steps_have_the_length_of_the_formula(case: tuple[Trace, Tensor, Chunking], chunks: int) -> None:
    trace, codes, chunking = case
    count = torch.full((len(codes),), chunks)

    result = left(trace, codes, chunking, count)

    steps = lengths(trace.steps)
    replaced = torch.minimum(count, steps // chunking.length) * chunking.length
    expected = steps - replaced + replaced // chunking.rate + 2 * (replaced > 0)
    assert torch.equal(lengths(result.steps), expected)


@given(cases())
def test_replacing_nothing_is_the_identity(case: tuple[Trace, Tensor, Chunking]) -> None:
    trace, codes, chunking = case

    result = left(trace, codes, chunking, torch.zeros(len(codes), dtype=torch.int64))

    assert torch.equal(join_trace(result, TEXT), join_trace(trace, TEXT))


@given(cases(), st.integers(0, 16))
def test_a_mixed_row_has_the_form_of_the_paper(case: tuple[Trace, Tensor, Chunking], chunks: int) -> None:
    trace, codes, chunking = case

    result = left(trace, codes, chunking, torch.full((len(codes),), chunks))

    parts = zip(*(there(part) for part in (*trace, codes)), there(join_trace(result, TEXT)), strict=True)
    for prompt, steps, solution, code, row in parts:
        m = min(chunks, len(steps) // chunking.length) * chunking.length
        latent = [ALPHABET.begin, *(TEXT + z for z in code[: m // chunking.rate]), ALPHABET.close] if m else []
        assert row == [*prompt, THINK, *latent, *steps[m:], ANSWER, *solution, END]


@given(cases(), st.integers(0, 16))
def test_unmixing_returns_codes_and_text(case: tuple[Trace, Tensor, Chunking], chunks: int) -> None:
    trace, codes, chunking = case
    ids = join_trace(left(trace, codes, chunking, torch.full((len(codes),), chunks)), TEXT)

    parts = split_trace(ids, TEXT)
    result = unmixed(parts.steps, ALPHABET)

    assert there(parts.prompt) == there(trace.prompt)
    assert there(parts.solution) == there(trace.solution)
    for text, steps, held, code in zip(*map(there, (result.text, trace.steps, result.codes, codes)), strict=True):
        assert text == steps[len(steps) - len(text) :]
        assert held == code[: len(held)]
        assert len(steps) - len(text) == len(held) * chunking.rate


@given(cases(), st.integers(0, 16))
def test_ids_are_in_the_alphabet_and_the_prompt_has_no_weight(
    case: tuple[Trace, Tensor, Chunking], chunks: int
) -> None:
    trace, codes, chunking = case
    ids = join_trace(left(trace, codes, chunking, torch.full((len(codes),), chunks)), TEXT)

    result = loss_weights(ids, TEXT)

    assert ids.max() < ALPHABET.size
    assert torch.equal((result == 0).sum(1), lengths(trace.prompt) + (ids < 0).sum(1))


@given(cases(), st.integers(0, 2**32))
def test_codes_of_scattered_chunks_are_in_place(case: tuple[Trace, Tensor, Chunking], seed: int) -> None:
    trace, codes, chunking = case
    whole = whole_chunks(trace.steps, chunking)
    mask = torch.rand(len(codes), 14, generator=torch.Generator().manual_seed(seed)) < 0.5
    chosen = mask & (torch.arange(14) < whole[:, None])

    result = mixed(trace, codes, chosen, chunking=chunking, alphabet=ALPHABET)

    each = chunking.length // chunking.rate
    for steps, code, picks, row in zip(
        *map(there, (trace.steps, codes)), chosen.tolist(), there(result.steps), strict=True
    ):
        expected, inside = [], False
        for chunk in range(-(-len(steps) // chunking.length)):
            if picks[chunk] != inside:
                expected.append(ALPHABET.begin if picks[chunk] else ALPHABET.close)
                inside = picks[chunk]
            text = steps[chunk * chunking.length : (chunk + 1) * chunking.length]
            expected += [TEXT + z for z in code[chunk * each : (chunk + 1) * each]] if inside else text
        assert row == expected + [ALPHABET.close] * inside


ONE = Trace(torch.tensor([[0]]), torch.tensor([[1, 2, 3, 4, 5]]), torch.tensor([[6]]))


@pytest.mark.parametrize(
    ("codes", "chosen", "chunking", "message"),
    [
        ([[3]], [[True]], Chunking(4, 3), "expected a rate that divides the chunks of 4 ids, got 3"),
        ([[3]], [[True]], Chunking(4, 0), "expected a rate that divides"),
        ([[3, 4, 5]], [[False, False, True]], Chunking(2, 2), r"expected chosen chunks among the \[2\] whole ones"),
        ([[3]], [[False, True]], Chunking(2, 2), "expected 1 codes below 30 for each chosen chunk"),
        ([[30]], [[True]], Chunking(2, 2), "expected 1 codes below 30 for each chosen chunk"),
        ([[3, -1]], [[True]], Chunking(2, 1), "expected 2 codes below 30 for each chosen chunk"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    codes: list[list[int]], chosen: list[list[bool]], chunking: Chunking, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        mixed(ONE, torch.tensor(codes), torch.tensor(chosen), chunking=chunking, alphabet=ALPHABET)


def test_the_alphabet_has_the_codes_and_two_brackets() -> None:
    assert (ALPHABET.begin, ALPHABET.close, ALPHABET.size) == (42, 43, 44)
