"""Draws from a mixture: the right part and place, and an unbiased gradient at every parameter."""

from __future__ import annotations

import torch
from torch import Tensor

from crt_vib.mixture.draws import drawn
from crt_vib.mixture.posterior import MixturePosterior

COUNT = 100_000
LOGITS = torch.tensor([0.3, -0.2, 0.0], dtype=torch.float64)
MEANS = torch.tensor([[0.0, 1.0], [1.5, -0.5], [-1.0, 0.3]], dtype=torch.float64)
SCALES = torch.tensor([[0.8, 0.6], [0.5, 1.0], [0.7, 0.9]], dtype=torch.float64)


def gradients(logits: Tensor, means: Tensor, scales: Tensor) -> list[Tensor]:
    """The gradient of the mean of z0 z1 + z0^2 in closed form."""
    leaves = [each.clone().requires_grad_() for each in (logits, means, scales)]
    weights, m, s = leaves[0].softmax(0), leaves[1], leaves[2]
    value = (weights * (m[:, 0] * m[:, 1] + m[:, 0] ** 2 + s[:, 0] ** 2)).sum()
    return list(torch.autograd.grad(value, leaves))


def drawn_gradients() -> list[Tensor]:
    """The same of each of 100,000 draws, whose parameters are copies of their own."""
    generator = torch.Generator().manual_seed(0)
    leaves = [each.expand(COUNT, *each.shape).clone().requires_grad_() for each in (LOGITS, MEANS, SCALES)]
    uniforms = torch.rand(COUNT, generator=generator, dtype=torch.float64)
    normals = torch.randn(COUNT, 2, generator=generator, dtype=torch.float64)
    codes = drawn(MixturePosterior(leaves[0].log_softmax(-1), leaves[1], leaves[2]), uniforms, normals)
    value = codes[:, 0] * codes[:, 1] + codes[:, 0] ** 2
    return list(torch.autograd.grad(value.sum(), leaves))


def test_the_gradient_is_unbiased_at_weights_means_and_scales() -> None:
    """Six standard errors of 100,000 draws in 15 numbers: false alarms at 3e-8."""
    for exact, many in zip(gradients(LOGITS, MEANS, SCALES), drawn_gradients(), strict=True):
        error = many.std(0) / COUNT**0.5

        assert torch.all((many.mean(0) - exact).abs() <= 6 * error)


def test_the_gradient_at_weights_is_more_than_nothing() -> None:
    """A gradient through the chosen part alone is 0 there; ten standard errors."""
    exact, many = gradients(LOGITS, MEANS, SCALES)[0], drawn_gradients()[0]

    assert torch.all(exact.abs() > 10 * many.std(0) / COUNT**0.5)


def test_uniforms_choose_parts_in_proportion_to_their_weights() -> None:
    weights = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    mixture = MixturePosterior(
        weights.log().expand(8, 3), torch.tensor([[0.0], [10.0], [20.0]]).double().expand(8, 3, 1), torch.ones(8, 3, 1)
    )

    codes = drawn(mixture, torch.arange(8).double() / 8, torch.zeros(8, 1).double())

    assert codes.flatten().tolist() == [0, 0, 0, 0, 10, 10, 20, 20]


def test_the_density_is_that_of_torch() -> None:
    codes = torch.randn(50, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    inner = torch.distributions.Independent(torch.distributions.Normal(MEANS, SCALES), 1)
    expected = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=LOGITS), inner)

    density = MixturePosterior(LOGITS.log_softmax(0), MEANS, SCALES).log_density(codes)

    torch.testing.assert_close(density, expected.log_prob(codes))
