"""The mixture bottleneck: its contract, and that it holds the best discrete channel of the noisy pointer."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.optimize import brentq

from crt_vib import Mixture
from crt_vib.frontiers.discrete import frontier
from crt_vib.frontiers.pointer import noisy_pointer
from crt_vib.mixture.channel import MixtureChannel
from crtcore import Noise

SYMBOLS, COUNT = 16, 4096


def noise(count: int = COUNT) -> Noise:
    """A seed for each row."""
    return Noise(Noise(0, "rows").seeds(torch.arange(count)), "codes")


def symmetric(error: float) -> MixtureChannel:
    """The channel that replaces a symbol by each other one with probability `error` / 15, in parts far apart."""
    channel: MixtureChannel = Mixture(width=SYMBOLS, latent=SYMBOLS, parts=SYMBOLS).build()
    weights = torch.full((SYMBOLS, SYMBOLS), error / (SYMBOLS - 1)).fill_diagonal_(1 - error)
    with torch.no_grad():
        channel.head[-1].weight.copy_(weights.log().T)  # logits of parts, for each one-hot symbol
        channel.means.copy_(10 * torch.eye(SYMBOLS))
        channel.log_scales.fill_(math.log(0.1))
    return channel


@pytest.mark.parametrize("beta", [0.5, 1 / 1.6, 1 / 1.5])
def test_it_reaches_the_frontier_of_the_noisy_pointer(beta: float) -> None:
    """Rate and distortion of 4,096 codes are the optimum's within five standard errors: false alarms at 6e-7.

    One Gaussian for each symbol stays 0.10 nat or more above it at such rates (bench/gaussian_codes.py).
    """
    joint = noisy_pointer(SYMBOLS, 0.2)
    (point,) = frontier(joint, [beta])
    lost = math.log(SYMBOLS) - point.rate

    def missing(error: float) -> float:
        return -(1 - error) * math.log(1 - error) - error * math.log(error / (SYMBOLS - 1)) - lost

    error = brentq(missing, 1e-9, 1 - 1 / SYMBOLS)
    weights = torch.full((SYMBOLS, SYMBOLS), error / (SYMBOLS - 1)).fill_diagonal_(1 - error)
    predictor = (weights.T @ torch.from_numpy(SYMBOLS * joint).float()).log()  # code to answer, by Bayes' rule
    answers = torch.from_numpy(SYMBOLS * joint).float().repeat(COUNT // SYMBOLS, 1)
    features = torch.eye(SYMBOLS).repeat(COUNT // SYMBOLS, 1).unsqueeze(1)

    with torch.no_grad():
        output = symmetric(error)(features, noise=noise())

    distortion = -(answers * predictor[output.codes[:, 0].argmax(-1)]).sum(-1)
    for got, expected in ((output.rate, point.rate), (distortion, math.log(SYMBOLS) - point.information)):
        assert abs(float(got.mean()) - expected) <= 5 * float(got.std()) / COUNT**0.5 + 1e-3


def test_the_rate_starts_near_0() -> None:
    """Features of unit variance; with first weights of torch's size it would be above 0.1 nat."""
    torch.manual_seed(0)
    channel: MixtureChannel = Mixture(width=8).build()

    with torch.no_grad():
        rate = channel(torch.randn(COUNT, 1, 8), noise=noise()).rate

    assert abs(float(rate.mean())) < 0.01


def test_the_rate_is_the_divergence_from_the_prior_where_parts_overlap() -> None:
    """Beside 400,000 draws by torch; six standard errors of both: false alarms at 2e-9."""
    torch.manual_seed(0)
    channel: MixtureChannel = Mixture(width=4, latent=2, parts=3).build()
    with torch.no_grad():
        channel.head[-1].weight.mul_(20)
        channel.log_scales.copy_(torch.randn(3, 2) / 2)
        channel.logits.copy_(torch.tensor([0.5, -0.5, 0.0]))
        feature = torch.randn(1, 1, 4)
        rates = channel(feature.expand(COUNT, 1, 4), noise=noise()).rate
        inner = torch.distributions.Independent(torch.distributions.Normal(channel.means, channel.log_scales.exp()), 1)
        own, prior = (
            torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=logits), inner)
            for logits in (channel.head(feature)[0, 0], channel.logits)
        )
        codes = own.sample((400_000,))
        drawn = own.log_prob(codes) - prior.log_prob(codes)

    error = (float(rates.var()) / COUNT + float(drawn.var()) / len(codes)) ** 0.5
    assert float(drawn.mean()) > 0.1
    assert abs(float(rates.mean() - drawn.mean())) <= 6 * error


def test_without_noise_a_code_is_the_mean_of_the_likeliest_part() -> None:
    channel = symmetric(0.3)

    codes = channel(torch.eye(SYMBOLS).unsqueeze(1)).codes[:, 0]

    torch.testing.assert_close(codes, 10 * torch.eye(SYMBOLS))


def test_the_wrong_width_is_named() -> None:
    with pytest.raises(ValueError, match="expected features of width 16"):
        symmetric(0.3)(torch.zeros(2, 1, 5))
