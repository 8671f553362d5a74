"""Noise: the known answers of Philox, and bits that depend on seed, stream and indices alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crtcore import Noise
from crtcore.noise import philox

RULES = settings(max_examples=50, deadline=None, derandomize=True, database=None)
WORDS = st.integers(0, 2**32 - 1)


def words(text: str) -> list[torch.Tensor]:
    """Hexadecimal words as tensors."""
    return [torch.tensor(int(word, 16)) for word in text.split()]


@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [  # Random123, kat_vectors, philox4x32 10
        ("0 0 0 0", "0 0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_its_known_answers(counter: str, key: str, answer: str) -> None:
    a, b, c, d = words(counter)
    left, right = words(key)

    assert list(philox((a, b, c, d), (left, right))) == words(answer)


@RULES
@given(st.integers(-(2**63), 2**63 - 1), WORDS, WORDS, WORDS)
def test_bits_have_32_bits_and_uniforms_are_the_upper_24(seed: int, i: int, j: int, k: int) -> None:
    noise = Noise(seed, "a")

    bits = int(noise.bits(i, j, k))

    assert 0 <= bits < 2**32
    assert int(noise.uniforms(i, j, k)) == bits >> 8


def test_indices_and_seeds_broadcast() -> None:
    seeds = torch.tensor([3, 4])
    i, j = torch.arange(3)[:, None, None], torch.arange(5)[:, None]

    bits = Noise(seeds, "a").bits(i, j, 7)

    alone = [[[int(Noise(s, "a").bits(x, y, 7)) for s in (3, 4)] for y in range(5)] for x in range(3)]
    assert bits.tolist() == alone


@RULES
@given(st.integers(0, 2**62), st.lists(WORDS, min_size=1, max_size=6), st.permutations(range(6)))
def test_the_bits_of_an_index_do_not_depend_on_other_indices(seed: int, indices: list[int], order: list[int]) -> None:
    places = [place for place in order if place < len(indices)]
    noise = Noise(seed, "a")

    moved = noise.bits(torch.tensor(indices)[places])

    assert moved.tolist() == [int(noise.bits(indices[place])) for place in places]


def test_streams_seeds_and_places_of_an_index_differ() -> None:
    many = torch.arange(1, 65)  # from 1: an index left out is index 0
    kinds = [
        Noise(0, "a").bits(many),
        Noise(0, "b").bits(many),
        Noise(1, "a").bits(many),
        Noise(1 << 32, "a").bits(many),
        Noise(0, "a").bits(1, many),
        Noise(0, "a").bits(0, 1, many),
    ]

    together = torch.cat(kinds).tolist()

    assert len(set(together)) == len(together)  # two of 384 words agree with probability 2e-5


@RULES
@given(st.integers(0, 2**62), st.integers(0, 50), WORDS)
def test_an_order_is_a_permutation(seed: int, size: int, index: int) -> None:
    order = Noise(seed, "a").order(size, index)

    assert sorted(order.tolist()) == list(range(size))


def test_orders_of_many_values_are_those_of_each() -> None:
    noise, epochs = Noise(3, "a"), torch.arange(5, 12)

    together = noise.order(20, 7, epochs)

    assert together.shape == (7, 20)
    assert all(torch.equal(row, noise.order(20, 7, epoch)) for row, epoch in zip(together, range(5, 12), strict=True))


def test_orders_differ() -> None:
    noise = Noise(0, "a")

    orders = {tuple(noise.order(20, index).tolist()) for index in range(10)}

    assert len(orders) == 10


def test_a_fourth_index_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at most 3 indices, got 4"):
        Noise(0, "a").bits(0, 0, 0, 0)


@RULES
@given(st.integers(0, 2**62), st.integers(0, 30), WORDS, WORDS)
def test_shorts_are_the_halves_of_every_word(seed: int, size: int, i: int, j: int) -> None:
    noise = Noise(seed, "a")

    shorts = noise.shorts(size, i, torch.tensor([j, 0]))

    assert shorts.shape == (2, size)
    assert shorts[0, ::8].tolist() == [int(noise.bits(i, j, turn)) & 0xFFFF for turn in range(-(-size // 8))]
    assert shorts[0, 1::8].tolist() == [int(noise.bits(i, j, turn)) >> 16 for turn in range(-(-(size - 1) // 8))]


def test_shorts_of_a_seed_for_each_sample_are_its_own() -> None:
    together = Noise(torch.tensor([3, 4]), "a").shorts(9, 5)

    assert together.tolist() == [Noise(seed, "a").shorts(9, 5).tolist() for seed in (3, 4)]


def test_shorts_differ() -> None:
    shorts = Noise(0, "a").shorts(2**14)

    counts = torch.bincount(shorts, minlength=2**16)
    assert len(counts) == 2**16
    assert int(counts.max()) <= 9  # ten of 16,384 agree with probability 2e-8
