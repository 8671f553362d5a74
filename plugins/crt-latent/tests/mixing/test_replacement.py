"""Strategies: number and choice of chunks, independent of neighbours and resuming."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from crt_latent.mixing.replacement import CEILINGS, Occasion, curriculum, everything, poisson, randomised
from crtcore import Noise

LENGTH = 16
NOISE = Noise(0, "how much of each sample is mixed")
DRAW = partial(randomised, noise=NOISE, length=LENGTH)
SCATTER = partial(poisson, noise=NOISE, length=LENGTH)


def occasion(count: int, *, first: int = 0, epoch: int = 0, progress: float = 0.0) -> Occasion:
    return Occasion(torch.arange(first, first + count), torch.full((count,), epoch), progress)


def left_to_right(chosen: Tensor) -> bool:
    return not (chosen[:, 1:] & ~chosen[:, :-1]).any()


def test_the_marginal_of_the_two_level_draw_is_as_stated() -> None:
    """70,000 draws: each of the 17 numbers of chunks is as often as stated, to 6.5 standard deviations.

    That fails a sound draw once in 7e8 by a normal tail for each of 17, so less than once in 1e6 in all.
    """
    count = 70_000
    whole = torch.full((count,), 16)

    counts = DRAW(whole, occasion(count)).sum(1).bincount(minlength=17)

    tops = [0, 4, 8, 10, 12, 14, 16]  # 0, 72, 128, 160, 192, 224 and 256 ids in whole chunks of 16
    chance = torch.tensor([sum((j <= top) / (top + 1) for top in tops) / 7 for j in range(17)], dtype=torch.float64)
    assert float(chance.sum()) == pytest.approx(1)
    assert len(counts) == 17
    assert ((counts - count * chance).abs() < 6.5 * (count * chance * (1 - chance)).sqrt()).all()


def test_a_draw_in_one_level_has_other_frequencies() -> None:
    """The other reading, m uniform over the set itself: 3 of its values take three sevenths of the draws away."""
    count = 70_000
    direct = torch.tensor(CEILINGS)[torch.randint(7, (count,), generator=torch.Generator().manual_seed(0))] // LENGTH

    shares = direct.bincount(minlength=17) / count

    assert abs(float(shares[16]) - 1 / 7 / 17) > 0.1


@given(st.lists(st.integers(0, 20), min_size=1, max_size=6), st.integers(0, 1000), st.integers(0, 50))
def test_draws_are_left_most_and_at_most_all(whole: list[int], first: int, epoch: int) -> None:
    chosen = DRAW(torch.tensor(whole), occasion(len(whole), first=first, epoch=epoch))

    assert left_to_right(chosen)
    assert (chosen.sum(1) <= torch.tensor(whole)).all()


@given(st.integers(0, 1000), st.integers(0, 50), st.integers(1, 8))
def test_neighbours_and_resuming_change_nothing(first: int, epoch: int, count: int) -> None:
    whole = torch.full((8,), 20)
    together = occasion(8, first=first, epoch=epoch)
    alone = Occasion(together.samples[count - 1 : count], together.epochs[count - 1 : count], 0.5)

    for strategy in (DRAW, SCATTER):
        assert torch.equal(strategy(whole[:1], alone), strategy(whole, together)[count - 1 : count])


def test_other_epochs_and_samples_have_other_draws() -> None:
    whole = torch.full((64,), 16)
    first = DRAW(whole, occasion(64)).sum(1)

    assert (DRAW(whole, occasion(64, epoch=1)).sum(1) != first).any()
    assert (DRAW(whole, occasion(64, first=64)).sum(1) != first).any()


@given(st.lists(st.integers(0, 20), min_size=1, max_size=6), st.integers(0, 1000), st.integers(0, 50))
def test_poisson_replaces_as_many_chunks_as_randomised(whole: list[int], first: int, epoch: int) -> None:
    at = occasion(len(whole), first=first, epoch=epoch)

    scattered, ordered = SCATTER(torch.tensor(whole), at), DRAW(torch.tensor(whole), at)

    assert torch.equal(scattered.sum(1), ordered.sum(1))
    assert not (scattered & (torch.arange(scattered.shape[1]) >= torch.tensor(whole)[:, None])).any()


def test_poisson_is_uniform_over_places() -> None:
    """20,000 samples of 8 chunks, m uniform up to all of them: each place is in a half, to 6 standard deviations.

    That fails a sound draw once in 6e7.
    """
    count = 20_000
    whole = torch.full((count,), 8)

    chosen = SCATTER(whole, occasion(count), ceilings=(128,))

    share = chosen.double().mean(0)
    assert ((share - 0.5).abs() < 6 * (0.25 / count) ** 0.5).all()
    assert not left_to_right(chosen)


def test_everything_is_every_whole_chunk() -> None:
    whole = torch.tensor([0, 3, 1])

    assert everything(whole, occasion(3)).tolist() == [[False] * 3, [True] * 3, [True, False, False]]


@pytest.mark.parametrize(("progress", "chunks"), [(0.0, 0), (0.24, 0), (0.25, 1), (0.5, 2), (0.75, 3), (1.0, 3)])
def test_a_curriculum_replaces_one_chunk_more_in_each_stage(progress: float, chunks: int) -> None:
    chosen = curriculum(torch.tensor([3, 0]), occasion(2, progress=progress))

    assert left_to_right(chosen)
    assert chosen.sum(1).tolist() == [chunks, 0]


@pytest.mark.parametrize("strategy", [DRAW, SCATTER, everything, curriculum])
def test_an_empty_batch_has_no_chunks(strategy: partial[Tensor]) -> None:
    assert strategy(torch.empty(0, dtype=torch.int64), occasion(0)).shape == (0, 0)
