"""The grid of `fsq`: its levels, its ids and its bound."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from crt_basics.bottlenecks.specs import FSQ

SHAPES = [(2,), (3,), (4,), (5,), (8, 5, 5), (2, 3, 4)]


@pytest.mark.parametrize("levels", SHAPES)
def test_ids_count_the_codes_with_the_first_channel_fastest(levels: tuple[int, ...]) -> None:
    grid = FSQ(levels=levels).build().double()

    codes = grid.lookup(torch.arange(math.prod(levels))[None])[0]

    steps = [[(step - level // 2) / (level // 2) for step in range(level)] for level in reversed(levels)]
    assert codes.tolist() == [list(reversed(code)) for code in itertools.product(*steps)]


@pytest.mark.parametrize("levels", SHAPES)
def test_every_level_is_reached_and_none_beyond(levels: tuple[int, ...]) -> None:
    grid = FSQ(levels=levels).build().double()
    line = torch.linspace(-20, 20, 4001, dtype=torch.float64)[None, :, None]

    ids = grid(line.expand(-1, -1, len(levels))).ids

    digits = ids[0, :, None] // grid.strides % grid.levels
    assert [channel.unique().tolist() for channel in digits.T] == [list(range(level)) for level in levels]
    assert (digits.diff(dim=0) >= 0).all()


def test_an_odd_bound_is_the_scaled_hyperbolic_tangent() -> None:
    features = torch.tensor([[[-0.7], [0.0], [1.3]]], dtype=torch.float64)

    compared = FSQ(levels=(5,)).build().double()(features).latents

    torch.testing.assert_close(compared, features.tanh() * 2 * (1 - 1e-3) / 2)


def test_an_even_bound_is_shifted_by_half_a_level() -> None:
    features = torch.tensor([[[-0.7], [0.0], [1.3]]], dtype=torch.float64)
    half = 3 * (1 - 1e-3) / 2

    compared = FSQ(levels=(4,)).build().double()(features).latents

    torch.testing.assert_close(compared, ((features + math.tan(0.5 / half)).tanh() * half - 0.5) / 2)


def test_it_has_no_parameters_and_no_loss() -> None:
    grid = FSQ(levels=(5, 4)).build()

    assert list(grid.parameters()) == []
    assert grid.state_dict() == {}
    assert grid(torch.randn(2, 3, 2)).loss.item() == 0


def test_the_rate_is_the_logarithm_of_the_vocabulary_for_each_feature() -> None:
    rate = FSQ(levels=(5, 4)).build()(torch.zeros(2, 3, 2)).rate

    assert rate.tolist() == pytest.approx([3 * math.log(20)] * 2)


def test_quantising_is_exact_under_autocast() -> None:
    grid = FSQ(levels=(255,)).build()
    features = torch.linspace(-2, 2, 1000)[None, :, None]

    with torch.autocast("cpu", torch.bfloat16):
        mixed = grid(features)

    assert torch.equal(mixed.ids, grid(features).ids)


def test_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="expected features of width 2, got 3"):
        FSQ(levels=(5, 4)).build()(torch.zeros(1, 1, 3))


@pytest.mark.parametrize("absent", [-1, 20])
def test_an_id_without_a_code_is_refused(absent: int) -> None:
    with pytest.raises(ValueError, match="expected ids from 0 to 19"):
        FSQ(levels=(5, 4)).build().lookup(torch.tensor([[0, absent]]))
