from __future__ import annotations

import torch

from crt_vib.gaussian.normal import normal
from crtcore import Noise


def test_numbers_are_normal() -> None:
    numbers = normal(Noise(torch.arange(512), "test"), 16, 32).flatten().sort().values

    shares = (torch.arange(len(numbers), dtype=torch.float64) + 0.5) / len(numbers)
    gap = (torch.special.ndtr(numbers) - shares).abs().max()
    # Kolmogorov's distance of 2**18 numbers; more than 2.7 over the root of their number by chance at 1e-6.
    assert float(gap) < 2.7 / len(numbers) ** 0.5


def test_adjacent_numbers_are_uncorrelated() -> None:
    numbers = normal(Noise(torch.arange(512), "test"), 16, 32)

    for axis in range(3):
        pairs = (numbers * numbers.roll(1, axis)).flatten()
        # The mean of products of independent numbers: five standard deviations, false alarms at 6e-7 each.
        assert float(pairs.mean().abs()) < 5 / len(pairs) ** 0.5


def test_the_numbers_of_a_sample_depend_only_on_its_seed() -> None:
    seeds = torch.tensor([5, 2**61, 7])

    together = normal(Noise(seeds, "test"), 3, 2)

    assert torch.equal(together[1:2], normal(Noise(seeds[1:2], "test"), 3, 2))
    assert torch.equal(together[:, :2], normal(Noise(seeds, "test"), 2, 2))
