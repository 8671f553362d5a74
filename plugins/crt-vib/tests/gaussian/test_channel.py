"""`gaussian`: its rate, its codes, and their noise."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from crt_laws import benches
from crt_laws.laws import bottleneck as laws
from crt_laws.laws.bottleneck_offenders import after
from crt_vib import Gaussian
from crt_vib.gaussian.channel import GaussianChannel
from crtcore import Noise
from crtcore.kinds import Bottleneck, DiscreteBottleneck


def built(**fields: Any) -> GaussianChannel:
    """A channel in float64 with a fixed seed; by default from four channels to two."""
    torch.manual_seed(0)
    return Gaussian(**{"width": 4, "latent": 2, **fields}).build().double()


def noise(samples: int = 64, first: int = 0) -> Noise:
    """A seed for each sample, counted from `first`."""
    return Noise(torch.arange(samples) + first, "test")


def vectors(samples: int = 64, places: int = 3, width: int = 4) -> Tensor:
    """Normal features."""
    return torch.randn(samples, places, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def fixed(channel: GaussianChannel, mean: float, scale: float) -> GaussianChannel:
    """The channel with the same posterior for every feature."""
    last = channel.head[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias[: channel.spec.latent] = mean
        last.bias[channel.spec.latent :] = torch.tensor(scale, dtype=torch.float64).expm1().log()
    return channel


@pytest.mark.parametrize("fields", [{}, {"hidden": 16}, {"components": 1}, {"components": 5}], ids=str)
def test_it_starts_at_a_scale_near_1_and_a_rate_near_0(fields: dict[str, Any]) -> None:
    channel = built(**fields)

    output = channel(vectors(512))

    assert channel.posterior(vectors(512)).scale.sub(1).abs().max() < 0.25
    # Three places of two channels; the prior of five components begins with means 0.1 wide.
    assert output.rate.mean().item() < 0.15


def test_the_rate_is_the_divergence_summed_over_places_and_channels() -> None:
    output = fixed(built(), 1.0, 2.0)(vectors(5, places=3))

    # Of N(1, 2) from N(0, 1): -ln 2 + (4 + 1) / 2 - 1 / 2, six times.
    assert output.rate.tolist() == pytest.approx([6 * (2 - 0.6931471805599453)] * 5, abs=1e-5)


def test_an_untrained_component_has_the_rate_of_the_standard_prior() -> None:
    one, none = built(components=1), built()
    one.head.load_state_dict(none.head.state_dict())

    rates = [channel(vectors(), noise=noise()).rate for channel in (one, none)]

    torch.testing.assert_close(*rates)


def test_a_component_equal_to_the_posterior_has_rate_0() -> None:
    channel = fixed(built(components=1), 1.0, 2.0)
    with torch.no_grad():
        channel.prior.means.fill_(1.0)
        channel.prior.log_scales.copy_(channel.posterior(vectors())[1][0, :1].log())

    assert channel(vectors()).rate.abs().max().item() < 1e-9


def test_equal_components_have_the_mean_rate_of_one() -> None:
    channel = fixed(built(components=3), 1.0, 0.5)
    with torch.no_grad():
        channel.prior.means.zero_()

    rate = channel(vectors(4096, places=1), noise=noise(4096)).rate

    exact_frontier = 2 * (0.6931471805599453 + (0.25 + 1) / 2 - 0.5)
    # Five standard errors of 4,096 samples: false alarms at 6e-7.
    assert rate.mean().item() == pytest.approx(exact_frontier, abs=5 * rate.std().item() / 64)
    assert rate.std().item() > 0


def test_codes_have_the_mean_and_the_scale_of_the_posterior() -> None:
    channel = fixed(built(), 1.0, 0.5)

    output = channel(vectors(4096, places=4), noise=noise(4096))

    errors = (output.codes - output.latents) / 0.5
    count = errors.numel()
    # Five standard deviations of mean and variance: false alarms at 6e-7 each.
    assert errors.mean().item() == pytest.approx(0, abs=5 / count**0.5)
    assert errors.square().mean().item() == pytest.approx(1, abs=5 * (2 / count) ** 0.5)
    assert (output.latents == 1).all()


def test_the_gradient_of_a_code_is_that_of_mean_and_scale() -> None:
    channel = built()
    features = vectors().requires_grad_()

    output = channel(features, noise=noise())
    (gradient,) = torch.autograd.grad(output.codes.sum(), features, retain_graph=True)

    mean, scale = channel.posterior(features)
    errors = ((output.codes - mean) / scale).detach()
    (expected,) = torch.autograd.grad((mean + errors * scale).sum(), features)
    torch.testing.assert_close(gradient, expected)


def test_free_nats_have_no_gradient_and_count_in_the_rate() -> None:
    features = vectors().requires_grad_()
    free, charged = built(free_bits=100.0), built()
    charged.load_state_dict(free.state_dict())

    rates = [channel(features, noise=noise()).rate for channel in (free, charged)]

    gradients = [torch.autograd.grad(rate.sum(), features)[0] for rate in rates]
    assert torch.equal(*rates)
    assert not gradients[0].any()
    assert gradients[1].any()


def test_a_channel_above_the_free_nats_keeps_its_gradient() -> None:
    channel = built(free_bits=0.5)
    last = channel.head[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.bias[0] = 5.0  # 12.5 nats a place in the first channel, next to none in the second

    channel(vectors()).rate.mean().backward()

    assert last.bias.grad is not None
    assert last.bias.grad[0] != 0
    assert last.bias.grad[1] == 0


def test_without_noise_a_code_is_the_mean_in_training() -> None:
    output = built().train()(vectors())

    assert torch.equal(output.codes, output.latents)


def test_the_same_noise_draws_the_same_codes_also_after_a_backward_pass() -> None:
    channel, state = built(), torch.get_rng_state()

    first = channel(vectors(), noise=noise())
    first.codes.sum().backward()
    second, other = (channel(vectors(), noise=noise(first=start)) for start in (0, 64))

    assert torch.equal(first.codes, second.codes)
    assert not torch.equal(first.codes, other.codes)
    assert list(channel.buffers()) == []
    assert torch.equal(torch.get_rng_state(), state)


def test_more_samples_do_not_change_the_codes_of_the_others() -> None:
    channel = built()

    assert torch.equal(channel(vectors()[:8], noise=noise(8)).codes, channel(vectors(), noise=noise()).codes[:8])


def test_with_a_seed_for_each_sample_its_place_in_the_batch_does_not_matter() -> None:
    channel, features, seeds = built(), vectors(), torch.arange(64)
    order = seeds.flip(0)

    straight = channel(features, noise=Noise(seeds, "test")).codes
    turned = channel(features[order], noise=Noise(seeds[order], "test")).codes

    torch.testing.assert_close(straight[order], turned)


def test_autocast_changes_nothing() -> None:
    channel = built().float()
    plain = channel(vectors().float(), noise=noise())

    with torch.autocast("cpu", torch.bfloat16):
        mixed = channel(vectors().float(), noise=noise())

    assert torch.equal(plain.codes, mixed.codes)
    assert torch.equal(plain.rate, mixed.rate)


def test_features_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="expected features of width 4, got 5"):
        built()(vectors(width=5))


def test_it_is_no_discrete_bottleneck() -> None:
    assert isinstance(built(), Bottleneck)
    assert not isinstance(built(), DiscreteBottleneck)


@pytest.mark.parametrize(
    ("law", "components"),
    [(laws.rate_covers_the_mutual_information, 3), (laws.noisy_distortion_and_rate_cover_the_labels, 0)],
    ids=lambda each: str(getattr(each, "name", each)),
)
def test_means_in_place_of_codes_are_caught_by_law(law: Any, components: int) -> None:
    sound = benches()["bottleneck"].subject(Gaussian(width=6, latent=4, components=components))

    with pytest.raises(AssertionError):
        law.attempt(after(lambda output: output._replace(codes=output.latents, rate=output.rate / 4))(sound))


def test_a_quarter_of_the_rate_is_caught_by_law() -> None:
    sound = benches()["bottleneck"].subject(Gaussian(width=6, latent=4))

    with pytest.raises(AssertionError):
        laws.rate_covers_the_mutual_information.attempt(
            after(lambda output: output._replace(rate=output.rate / 4))(sound)
        )
