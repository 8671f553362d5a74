"""Chunks of text to codes and back."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from crt_basics.bottlenecks.specs import FSQ
from crt_latent.text_chunks.spec import TextChunks
from crt_latent.text_chunks.tokenizer import ChunkTokenizer
from crtcore.spec import FieldError

THINK, ANSWER, END = 8, 9, 10
WIDTH = 24


def row(prompt: list[int], steps: list[int], solution: list[int]) -> Tensor:
    """Returns a batch of one trace of 11 ids."""
    ids = [*prompt, THINK, *steps, ANSWER, *solution, END]
    return torch.tensor([ids + [-1] * (WIDTH - len(ids))])


def made(levels: tuple[int, ...] = (5, 5, 5), **fields: int) -> ChunkTokenizer:
    """Returns a tokenizer with first values of a fixed seed."""
    spec = TextChunks(**{"chunk": 4, "rate": 2, "width": 8, "heads": 2} | fields)
    torch.manual_seed(0)
    return spec.build(FSQ(levels=levels).build(), row([1], [2], [3]), 11)


def drawn(count: int, length: int, seed: int) -> Tensor:
    """Traces of random steps."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randint(8, (count, length), generator=generator).tolist()
    return torch.cat([row([1, 2], each, [3]) for each in steps])


@pytest.mark.parametrize(("steps", "codes"), [(1, 1), (2, 1), (3, 2), (4, 2), (9, 5), (19, 10)])
def test_there_is_a_code_for_every_two_ids_that_have_begun(steps: int, codes: int) -> None:
    tokenizer = made()

    ids = tokenizer.encode(row([1], [5] * steps, []))

    assert int((ids >= 0).sum()) == codes


def test_a_code_depends_on_its_chunk_alone() -> None:
    tokenizer = made()

    one, other = (
        tokenizer.encode(row(prompt, steps, [3]))
        for prompt, steps in (([1], [1, 2, 3, 4, 5, 6, 7, 0]), ([4, 4], [7, 7, 3, 0, 5, 6, 7, 0]))
    )

    assert torch.equal(one[:, 2:], other[:, 2:])
    assert not torch.equal(one[:, :2], other[:, :2])


def test_equal_text_has_equal_codes_everywhere() -> None:
    tokenizer = made()

    ids = tokenizer.encode(row([1], [1, 2, 3, 4] * 3, []))

    assert torch.equal(ids[0, :2], ids[0, 2:4])
    assert torch.equal(ids[0, :2], ids[0, 4:6])


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_code_stands_for_two_ids(count: int) -> None:
    tokenizer = made()

    trace = tokenizer.decode(torch.arange(count)[None])[0]

    assert trace[0] == THINK
    assert ((trace[1 : 1 + 2 * count] >= 0) & (trace[1 : 1 + 2 * count] < THINK)).all()
    assert trace[1 + 2 * count : 3 + 2 * count].tolist() == [ANSWER, END]
    assert (trace[3 + 2 * count :] < 0).all()


def test_distortion_is_a_mean_over_present_ids() -> None:
    tokenizer = made()
    torch.nn.init.zeros_(tokenizer.head.weight)
    torch.nn.init.zeros_(tokenizer.head.bias)

    encoded = tokenizer(torch.cat([row([1], [2] * 3, []), row([1], [2] * 8, [])]))

    assert encoded.distortion.tolist() == pytest.approx([math.log(11)] * 2)
    assert encoded.rate.tolist() == pytest.approx([2 * math.log(125), 4 * math.log(125)])


def test_a_trace_has_the_same_distortion_beside_a_longer_one() -> None:
    tokenizer = made()
    short, long = row([1], [2, 5, 3], []), row([1], [2, 5, 3, 7, 7, 1, 4, 6], [])

    alone = tokenizer(short)
    beside = tokenizer(torch.cat([long, short, long]))

    assert float(beside.distortion[1]) == pytest.approx(float(alone.distortion[0]), rel=1e-6)
    assert float(beside.distortion[0]) != pytest.approx(float(alone.distortion[0]), rel=1e-3)
    assert torch.equal(beside.reconstruction[1], alone.reconstruction[0])


def test_a_prompted_decoder_depends_on_the_prompt() -> None:
    tokenizer = made()

    one, other = (tokenizer(row(prompt, [1, 2, 3], [])) for prompt in ([1, 2], [2, 1, 7]))

    assert one.distortion != other.distortion
    assert torch.equal(one.ids, other.ids)
    assert torch.equal(one.reconstruction, other.reconstruction)


def test_an_unprompted_decoder_does_not_depend_on_the_prompt() -> None:
    tokenizer = made(prompted=False)

    one, other = (tokenizer(row(prompt, [1, 2, 3], [])) for prompt in ([1, 2], [2, 1, 7]))

    assert torch.equal(one.distortion, other.distortion)


def test_the_loss_without_prompt_has_no_gradient_to_codes() -> None:
    tokenizer = made()
    encoded = tokenizer(drawn(3, 8, 0))
    aside = encoded.loss - encoded.distortion.mean()  # this bottleneck has no loss

    at_codes, at_none = torch.autograd.grad(aside, [encoded.features, tokenizer.gist.none])

    assert at_codes.abs().max() < 1e-7
    assert at_none.abs().max() > 1e-3


def test_as_many_codes_as_words_lose_nothing_at_a_code_an_id() -> None:
    """1,280 held-out ids after 200 steps."""
    tokenizer = made((4, 4, 4), chunk=4, rate=1, width=32)
    optimizer = torch.optim.AdamW(tokenizer.parameters(), lr=3e-3)
    for step in range(200):
        optimizer.zero_grad()
        tokenizer(drawn(16, 8, step)).loss.backward()
        optimizer.step()
    held = drawn(160, 8, 10_000)

    encoded = tokenizer(held)

    steps = held[:, 3:11]
    assert torch.equal(encoded.reconstruction[:, 1:9], steps)
    assert torch.equal(tokenizer.decode_with_prompt(encoded.ids, held[:, :2])[:, 1:9], steps)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (row([1], [2], [3])[:, :20], "expected rows of 24 ids, got 20"),
        (row([1], [], [3]), "expected traces with steps, got none that has any"),
        (row([1], [2, END], [3]), r"row 0: expected <think> 8 <answer> 9 <end> 10 once each"),
    ],
)
def test_rows_that_are_no_traces_are_refused(data: Tensor, message: str) -> None:
    tokenizer = made()

    with pytest.raises(ValueError, match=message):
        tokenizer.encode(data)


def test_more_codes_than_a_trace_has_are_refused() -> None:
    tokenizer = made()

    with pytest.raises(ValueError, match="expected at most 12 ids a row, got 13"):
        tokenizer.decode(torch.zeros(1, 13, dtype=torch.int64))


def test_data_without_a_vocabulary_are_refused() -> None:
    with pytest.raises(ValueError, match="expected a vocabulary of text and three delimiters, got None"):
        TextChunks().build(FSQ().build(), row([1], [2], [3]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"chunk": 16, "rate": 3}, r"rate: expected a divisor of chunk \(16\), got 3"),
        ({"width": 6, "heads": 2}, "heads: expected heads of an even width, got 6 / 2"),
    ],
)
def test_fields_that_do_not_fit_are_named(fields: dict[str, int], message: str) -> None:
    with pytest.raises(FieldError, match=message):
        TextChunks(**fields)
