"""Entropies, gaps to floor and frontier, and the exact frontier itself."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_run.training.order import seeded
from crt_vib import Gaussian, Lists
from crt_vib.rate_distortion.frontier import Frontier, exact_frontier
from crt_vib.rate_distortion.measure import AMONG, Costs, evenly, gaps, information, label_nats, row
from crt_vib.rate_distortion.probe import Probe
from crt_vib.rate_distortion.states import Examples

settings.register_profile("measure", deadline=None)
settings.load_profile("measure")


@pytest.fixture(scope="module")
def frontier() -> Frontier:
    """The frontier of the noisy pointer with 16 symbols and a fifth of noise."""
    return exact_frontier(Lists(symbols=16, noise=0.2).joint())


@pytest.mark.parametrize(
    ("rate", "distortion"),
    [(2.7652, 0.9926), (2.6069, 1.0630), (2.0271, 1.3973), (1.5103, 1.7323), (0.9658, 2.1022), (0.0, 2.7726)],
)
def test_the_frontier_is_that_of_the_published_iteration(frontier: Frontier, rate: float, distortion: float) -> None:
    """Tishby et al., physics/0004057, at six betas; lines of slopes 0.005 apart leave 2e-3 at most."""
    least = frontier.least(rate)

    assert distortion - 2e-3 < least < distortion + 1e-4


def test_no_rate_goes_below_the_entropy_of_the_noise(frontier: Frontier) -> None:
    assert frontier.least(50.0) == pytest.approx(0.990337, abs=1e-6)
    assert frontier.slope(50.0) == 0


def test_the_slope_is_the_distortion_saved_by_a_nat_of_rate(frontier: Frontier) -> None:
    assert frontier.slope(2.6069) == pytest.approx(0.5, abs=0.005)


def test_a_certain_answer_has_a_straight_frontier() -> None:
    straight = exact_frontier(Lists(symbols=8, noise=0.0).joint())

    for rate in (0.0, 0.5, 1.5):
        assert straight.least(rate) == pytest.approx(math.log(8) - rate, abs=1e-9)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_the_mean_nats_of_answers_are_the_entropy_of_their_set(answers: list[int]) -> None:
    mean = label_nats(torch.tensor(answers)).mean()

    shares = [answers.count(each) / len(answers) for each in set(answers)]
    assert float(mean) == pytest.approx(-sum(share * math.log(share) for share in shares), abs=1e-12)


def measured(seed: int, count: int = 50) -> tuple[Costs, torch.Tensor]:
    """Made-up costs."""
    generator = torch.Generator().manual_seed(seed)
    costs = Costs(*(2 * torch.rand(count, generator=generator, dtype=torch.float64) for _ in range(2)))
    return costs, torch.randint(16, (count,), generator=generator)


@given(seed=st.integers(0, 999))
def test_gaps_are_distances_of_the_means(frontier: Frontier, seed: int) -> None:
    costs, answers = measured(seed)

    numbers = row(0.5, costs, answers, frontier).numbers

    rate, distortion = float(costs.rate.mean()), float(costs.distortion.mean())
    entropy = float(label_nats(answers).mean())
    assert numbers["floor_gap_nats"].value == pytest.approx(rate + distortion - entropy, abs=1e-9)
    assert numbers["frontier_gap_nats"].value == pytest.approx(distortion - frontier.least(rate), abs=1e-9)
    assert float(gaps(costs, frontier).mean()) == pytest.approx(distortion - frontier.least(rate), abs=1e-9)
    for number in (numbers["rate_nats"], numbers["floor_gap_nats"]):
        assert number.low is not None
        assert number.high is not None
        assert number.low < number.value < number.high


def test_without_a_frontier_only_the_floor_is_reported() -> None:
    numbers = row(0.5, *measured(0), None).numbers

    assert set(numbers) == {"rate_nats", "distortion_nats", "floor_nats", "floor_gap_nats"}


def test_the_information_is_of_states_of_the_whole_split() -> None:
    """Of 4,096 states the first half is the same: codes of those alone would have no information."""
    states = torch.cat((torch.zeros(AMONG, 1), torch.linspace(-1, 1, AMONG)[:, None]))
    with seeded(0, "probe"):
        probe = Probe(Gaussian(width=1).build(), states, 2)

    numbers = information(probe, Examples(states, torch.zeros(len(states), dtype=torch.int64)), 0)

    assert numbers["information_lower_nats"].value > 0.01


def test_a_channel_that_is_constant_in_training_is_only_centred() -> None:
    probe = Probe(Gaussian(width=2).build(), torch.tensor([[1.0, 5.0], [3.0, 5.0]]), 2)

    assert probe.standardised(torch.tensor([[2.0, 6.0]])).tolist() == [[[0.0, 1.0]]]  # not 1e6


@pytest.mark.parametrize(("most", "expected"), [(4, [0, 2, 5, 7]), (20, list(range(10)))])
def test_few_states_are_taken_from_all_of_them(most: int, expected: list[int]) -> None:
    few = evenly(Examples(torch.arange(10.0)[:, None], torch.arange(10)), most)

    assert few.answers.tolist() == expected
    assert few.states.flatten().tolist() == expected
