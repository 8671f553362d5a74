"""Codes of steps: learned, shuffled and hashed."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Int
from torch import Tensor

from crt_latent.mixing.mixed import Chunking
from crt_latent.reasoning.codes import fixed, hashed, ids_hashed, prompt_hashed, shuffled
from crt_latent.traces import Trace

SEEDS = st.integers(0, 2**32)


def ragged(seed: int) -> Int[Tensor, "40 6"]:
    """Rows of codes of any length."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(50, (40, 6), generator=generator)
    return codes.where(torch.arange(6) < torch.randint(7, (40, 1), generator=generator), -1)


@given(SEEDS)
def test_shuffling_keeps_every_count_of_every_place(seed: int) -> None:
    codes = ragged(seed)

    dealt = shuffled(codes, 3)

    assert torch.equal(dealt.sort(0).values, codes.sort(0).values)
    assert torch.equal(dealt >= 0, codes >= 0)


def test_shuffling_separates_codes_from_their_problems() -> None:
    """Of 1,000 rows of 1,000 codes, one in a thousand keeps its own by chance: more than 13 in one of 1e-9 shuffles."""
    codes = torch.arange(1000)[:, None]

    dealt = shuffled(codes, 0)

    assert int((dealt == codes).sum()) < 13


@given(SEEDS)
def test_a_hash_depends_on_the_chunk_alone(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    chunk = torch.randint(30, (1, 8), generator=generator)
    other = torch.randint(30, (1, 8), generator=generator)

    one, two = (hashed(torch.cat(each, 1), Chunking(8, 2), 64, 0) for each in ((chunk, other), (other, chunk)))

    assert torch.equal(one[:, :4], two[:, 4:])
    assert torch.equal(one[:, 4:], two[:, :4])


def test_a_hash_of_ids_depends_on_the_ids_that_its_code_stands_for() -> None:
    """Nine in ten of 2,000 codes of 64 change where their ids do: by chance one in 64 does not."""
    steps = torch.randint(30, (1000, 8), generator=torch.Generator().manual_seed(0))
    others = steps.clone()
    others[:, 4] += 1

    codes, same, moved = (ids_hashed(each, Chunking(8, 2), 64, 0) for each in (steps, others, steps.roll(2, 1)))

    assert torch.equal(codes[:, [0, 1, 3]], same[:, [0, 1, 3]])
    assert (codes[:, 2] != same[:, 2]).double().mean() > 0.9
    assert torch.equal(moved, codes.roll(1, 1))
    assert not torch.equal(hashed(steps, Chunking(8, 2), 64, 0)[:, :2], hashed(others, Chunking(8, 2), 64, 0)[:, :2])


def test_a_hash_spreads_chunks_over_its_codes() -> None:
    """256,000 codes over 64 ids, each about 4,000 times: off by 8 standard deviations in fewer than 1e-12 of hashes."""
    steps = torch.randint(30, (64_000, 8), generator=torch.Generator().manual_seed(0))

    counts = torch.bincount(hashed(steps, Chunking(8, 2), 64, 0).flatten(), minlength=64)

    assert (counts - 4000).abs().max() < 8 * 4000**0.5


def test_chunks_that_differ_in_one_id_have_other_codes() -> None:
    steps = torch.arange(8).repeat(8, 1)
    steps[torch.arange(8), torch.arange(8)] = 9

    codes = hashed(torch.cat([steps, torch.arange(8)[None]]), Chunking(8, 8), 2**20, 0)

    assert len(codes.unique()) == 9


def test_a_chunk_that_is_not_whole_has_no_hash() -> None:
    codes = hashed(torch.tensor([[1, 2, 3, 4, 5, -1], [1, 2, 3, -1, -1, -1]]), Chunking(4, 2), 8, 0)

    assert (codes >= 0).tolist() == [[True, True, False, False], [False] * 4]


def test_fixed_codes_are_the_same_for_every_problem() -> None:
    steps = torch.randint(30, (50, 24), generator=torch.Generator().manual_seed(0))

    codes = fixed(steps, Chunking(8, 2), 64, 0)

    assert codes.shape == (50, 12)
    assert (codes == codes[0]).all()
    assert len(set(codes[0].tolist())) > 1


def test_a_hash_of_the_prompt_knows_nothing_of_the_steps() -> None:
    """12 codes of 64 agree by chance at 1/64 each: above a half of 600 in far fewer than 1e-9 of hashes."""
    generator = torch.Generator().manual_seed(0)
    prompt, solution = torch.randint(30, (50, 5), generator=generator), torch.zeros(50, 1, dtype=torch.int64)
    steps, others = torch.randint(30, (2, 50, 24), generator=generator)

    codes = prompt_hashed(Trace(prompt, steps, solution), Chunking(8, 2), 64, 0)
    same = prompt_hashed(Trace(prompt, others, solution), Chunking(8, 2), 64, 0)
    other = prompt_hashed(Trace(prompt.flip(0), steps, solution), Chunking(8, 2), 64, 0)

    assert torch.equal(codes, same)
    assert (codes == other).double().mean() < 0.5
    assert torch.equal(other.flip(0), codes)


def test_controls_have_no_codes_for_what_is_no_whole_chunk() -> None:
    steps = torch.tensor([[1] * 8 + [2] * 3 + [-1] * 5])
    trace = Trace(steps[:, :2], steps, steps[:, :1])

    whole = Chunking(8, 4)
    for codes in (fixed(steps, whole, 9, 0), prompt_hashed(trace, whole, 9, 0), ids_hashed(steps, whole, 9, 0)):
        assert (codes[0, :2] >= 0).all()
        assert (codes[0, 2:] == -1).all()


def test_each_seed_has_its_own_hashes_and_fixed_codes() -> None:
    """Two draws of 50 times 12 codes agree in about 1 of 64."""
    generator = torch.Generator().manual_seed(0)
    steps = torch.randint(30, (50, 24), generator=generator)
    trace, chunking = Trace(steps[:, :5], steps, steps[:, :1]), Chunking(8, 2)

    for one, other in (
        [hashed(steps, chunking, 64, seed) for seed in (0, 1)],
        [ids_hashed(steps, chunking, 64, seed) for seed in (0, 1)],
        [prompt_hashed(trace, chunking, 64, seed) for seed in (0, 1)],
        [fixed(steps, chunking, 64, seed) for seed in (0, 1)],
    ):
        assert (one == other).double().mean() < 0.5
