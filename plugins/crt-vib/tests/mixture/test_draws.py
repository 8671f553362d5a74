"""Draws from a mixture: the right part and place, and which gradients have no bias."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from crt_vib.mixture.draws import chosen, log_densities, placed
from crt_vib.mixture.posterior import MixturePosterior

COUNT = 100_000
LOGITS = torch.tensor([0.3, -0.2, 0.0], dtype=torch.float64)
MEANS = torch.tensor([[0.0, 1.0], [1.5, -0.5], [-1.0, 0.3]], dtype=torch.float64)
SCALES = torch.tensor([[0.8, 0.6], [0.5, 1.0], [0.7, 0.9]], dtype=torch.float64)


def linear(codes: Tensor) -> Tensor:
    """2 z0 - z1."""
    return 2 * codes[..., 0] - codes[..., 1]


def quadratic(codes: Tensor) -> Tensor:
    """z0 z1 + z0^2."""
    return codes[..., 0] * codes[..., 1] + codes[..., 0] ** 2


def gradients(logits: Tensor, means: Tensor, scales: Tensor, *, function: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """The gradient of the function's mean in closed form: its value at means, and for the square s0^2 more."""
    leaves = [each.clone().requires_grad_() for each in (logits, means, scales)]
    more = leaves[2][:, 0] ** 2 if function is quadratic else 0 * leaves[2][:, 0]
    value = (leaves[0].softmax(0) * (function(leaves[1]) + more)).sum()
    return list(torch.autograd.grad(value, leaves))


def drawn_gradients(function: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """The same of each of 100,000 draws, whose parameters are copies of their own."""
    generator = torch.Generator().manual_seed(0)
    leaves = [each.expand(COUNT, *each.shape).clone().requires_grad_() for each in (LOGITS, MEANS, SCALES)]
    uniforms = torch.rand(COUNT, generator=generator, dtype=torch.float64)
    normals = torch.randn(COUNT, 2, generator=generator, dtype=torch.float64)
    codes = placed(chosen(leaves[0].log_softmax(-1), uniforms), leaves[1], leaves[2], normals)
    return list(torch.autograd.grad(function(codes).sum(), leaves))


def close(many: Tensor, exact: Tensor) -> bool:
    """Whether means are the exact numbers, within six standard errors: false alarms at 2e-9 for each number."""
    return bool(torch.all((many.mean(0) - exact).abs() <= 6 * many.std(0) / COUNT**0.5 + 1e-12))


@pytest.mark.parametrize("function", [linear, quadratic])
def test_the_gradient_is_unbiased_at_means_and_scales(function: Callable[[Tensor], Tensor]) -> None:
    exact, many = gradients(LOGITS, MEANS, SCALES, function=function), drawn_gradients(function)

    assert close(many[1], exact[1])
    assert close(many[2], exact[2])


def test_the_gradient_at_weights_is_unbiased_for_linear_functions() -> None:
    """And there is one: through the part that was drawn alone it is 0."""
    exact, many = gradients(LOGITS, MEANS, SCALES, function=linear)[0], drawn_gradients(linear)[0]

    assert close(many, exact)
    assert torch.all(exact.abs() > 10 * many.std(0) / COUNT**0.5)


def test_the_gradient_at_weights_is_biased_for_convex_functions() -> None:
    """As the docstring says; more than ten standard errors."""
    exact, many = gradients(LOGITS, MEANS, SCALES, function=quadratic)[0], drawn_gradients(quadratic)[0]

    assert torch.any((many.mean(0) - exact).abs() > 10 * many.std(0) / COUNT**0.5)


def test_uniforms_choose_parts_in_proportion_to_their_weights() -> None:
    weights = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)

    rows = chosen(weights.log().expand(8, 3), torch.arange(8).double() / 8)

    assert rows.argmax(-1).tolist() == [0, 0, 0, 0, 1, 1, 2, 2]
    assert torch.equal(rows, torch.eye(3).double()[rows.argmax(-1)])


def test_densities_of_parts_are_those_of_torch() -> None:
    normals = torch.randn(5, 7, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    each = MEANS + SCALES * normals.unsqueeze(-2)  # 5 7 p d
    parts = torch.distributions.Independent(torch.distributions.Normal(MEANS, SCALES), 1)

    torch.testing.assert_close(log_densities(MEANS, SCALES, normals), parts.log_prob(each.unsqueeze(-2)))


def test_the_density_is_that_of_torch() -> None:
    codes = torch.randn(50, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    inner = torch.distributions.Independent(torch.distributions.Normal(MEANS, SCALES), 1)
    expected = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=LOGITS), inner)

    density = MixturePosterior(LOGITS.log_softmax(0), MEANS, SCALES).log_density(codes)

    torch.testing.assert_close(density, expected.log_prob(codes))
