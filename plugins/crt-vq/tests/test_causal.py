"""The causal regulariser: what it sees, what it moves, and what shrinking features does to it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from crt_vq import VQ, Causal, Conv
from crt_vq.causal import CausalForesight, prediction_error
from torch import Tensor
from torch.nn import functional

from crtcore.kinds import Encoded


def foresight(latent: int = 3, length: int = 5, **fields: Any) -> CausalForesight:
    """A small regulariser in float64."""
    torch.manual_seed(0)
    return CausalForesight(Causal(**{"layers": 2, "width": 8, "heads": 2, **fields}), latent, length).double()


def encoded(latents: Tensor) -> Encoded:
    """An `Encoded` of which only the latents matter."""
    mask = torch.ones(latents.shape[:2], dtype=torch.bool)
    zero = latents.new_zeros(len(latents))
    return Encoded(latents, latents, latents, None, mask, latents, zero, zero, latents.new_zeros(()))


def drawn(*shape: int) -> Tensor:
    """Normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("place", range(5))
def test_a_prediction_does_not_see_what_it_predicts(place: int) -> None:
    head = foresight().head
    latents = drawn(2, 5, 3)
    touched = latents.clone()
    touched[:, place] += 1

    before, after = head(latents), head(touched)

    assert torch.equal(before[:, :place], after[:, :place])
    assert not torch.equal(before[:, place], after[:, place])


def test_the_error_of_two_latents_is_that_of_the_second() -> None:
    latents = torch.tensor([[[9.0, 9.0], [1.0, 2.0]]])
    predicted = torch.tensor([[[4.0, 4.0], [7.0, 7.0]]])

    error = prediction_error(predicted, latents, torch.ones(1, 2, dtype=torch.bool))

    assert error.item() == ((4 - 1) ** 2 + (4 - 2) ** 2) / 2


def test_the_error_is_a_mean_over_present_positions() -> None:
    latents, predicted = torch.zeros(2, 3, 1), torch.ones(2, 3, 1)
    predicted[0, 1:] = 100
    mask = torch.tensor([[True, True, False], [True, True, True]])

    assert prediction_error(predicted, latents, mask).item() == 1


def test_a_sample_of_one_latent_has_no_error() -> None:
    penalty = foresight(length=1)(torch.zeros(2), encoded(drawn(2, 1, 3)), 1.0)

    assert penalty.loss.item() == penalty.own.item() == 0


def test_constant_latents_can_be_foretold() -> None:
    regularizer = foresight(length=4)
    batch = encoded(drawn(1, 1, 3).expand(4, 4, 3))
    optimizer = torch.optim.Adam(regularizer.parameters(), lr=1e-2)

    for _ in range(300):
        optimizer.zero_grad()
        regularizer(torch.zeros(4), batch, 0.0).own.backward()
        optimizer.step()

    assert regularizer(torch.zeros(4), batch, 0.0).own.item() < 1e-4


def test_both_gradients_are_those_of_the_plain_error() -> None:
    regularizer = foresight()
    latents = drawn(2, 5, 3).requires_grad_()
    batch = encoded(latents)
    parameters = list(regularizer.parameters())
    plain = prediction_error(regularizer.head(latents), latents, batch.mask)
    expected = torch.autograd.grad(plain, [latents, *parameters])

    penalty = regularizer(torch.zeros(2), batch, 1.0)
    got = torch.autograd.grad(penalty.loss + penalty.own, [latents, *parameters])

    assert penalty.loss.item() == penalty.own.item() == plain.item()
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_context_and_target_both_get_a_gradient() -> None:
    latents = drawn(1, 2, 3).requires_grad_()

    (gradient,) = torch.autograd.grad(foresight(length=2)(torch.zeros(1), encoded(latents), 1.0).loss, latents)

    assert (gradient[0].norm(dim=-1) > 0).all()


def test_the_gradient_reaches_the_encoder() -> None:
    images = torch.rand(2, 1, 8, 8)
    tokenizer = Conv(channels=4).build(VQ(codes=16).build(), images)
    batch = tokenizer(images)

    Causal(layers=1, width=8, heads=2).build(tokenizer)(images, batch, 1.0).loss.backward()

    gradients = [parameter.grad for parameter in tokenizer.encoder.parameters()]
    assert all(gradient is not None and gradient.any() for gradient in gradients)
    assert all(parameter.grad is None for parameter in tokenizer.decoder.parameters())


def test_shrinking_the_features_does_not_lower_the_loss() -> None:
    codebook, regularizer = VQ(codes=16, width=3).build().double(), foresight()
    features = drawn(2, 5, 3)

    def loss(features: Tensor) -> Tensor:
        compared = codebook(features).compared
        penalised: Tensor = regularizer(torch.zeros(2), encoded(compared), 1.0).loss
        return penalised

    torch.testing.assert_close(loss(features), loss(features / 1000))
    torch.testing.assert_close(loss(features), loss(functional.normalize(features, dim=-1)))


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.0), (0.05, 0.25), (0.2, 1.0), (1.0, 1.0)])
def test_the_weight_rises_linearly_over_the_ramp(progress: float, share: float) -> None:
    regularizer = foresight(ramp=0.2)
    batch = encoded(drawn(2, 5, 3))

    penalty = regularizer(torch.zeros(2), batch, progress)

    assert penalty.loss.item() == pytest.approx(share * penalty.own.item())


def test_without_a_ramp_the_weight_is_whole_from_the_start() -> None:
    penalty = foresight(ramp=0.0)(torch.zeros(2), encoded(drawn(2, 5, 3)), 0.0)

    assert penalty.loss.item() == penalty.own.item() > 0


def test_the_head_learns_where_no_gradient_is_recorded_for_the_tokenizer() -> None:
    regularizer = foresight()

    penalty = regularizer(torch.zeros(2), encoded(drawn(2, 5, 3)), 0.5)

    assert not penalty.loss.requires_grad
    assert penalty.own.requires_grad


def test_the_readings_are_the_error_and_the_norm_of_the_raw_features() -> None:
    latents = drawn(2, 5, 3)
    batch = encoded(latents)._replace(features=torch.tensor([[[3.0, 4.0]], [[0.0, 0.0]]]).double())

    penalty = foresight()(torch.zeros(2), batch, 1.0)

    assert penalty.readings == {"prediction_error": penalty.own.item(), "latent_norm": pytest.approx(2.5)}
