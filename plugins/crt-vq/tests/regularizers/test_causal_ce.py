"""Causal regularisation by cross-entropy: which id is predicted, and from what."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from crt_vq import VQ, CausalCE, Conv
from crt_vq.regularizers.causal_ce import CausalCrossEntropy
from crtcore.kinds import Encoded


def built(**fields: Any) -> CausalCrossEntropy:
    """A small regulariser of two ids of a vocabulary of three, with latents of two channels, in float64."""
    torch.manual_seed(0)
    return CausalCrossEntropy(CausalCE(**{"layers": 0, **fields}), 2, 2, 3).double()


def encoded(latents: Tensor, ids: list[list[int]]) -> Encoded:
    """An `Encoded` of which only latents and ids matter."""
    named = torch.tensor(ids)
    zero = latents.new_zeros(len(latents))
    return Encoded(latents, latents, latents, named, named >= 0, latents, zero, zero, latents.new_zeros(()))


def drawn(*shape: int) -> Tensor:
    """Normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def scoring(**fields: Any) -> CausalCrossEntropy:
    """A head whose logits are the two channels of the previous latent and 0."""
    regularizer = built(**fields)
    regularizer.foreteller.head.weight.data = torch.eye(3, 2).double()
    regularizer.foreteller.head.bias.data.zero_()  # type: ignore[operator]
    return regularizer


def test_the_error_of_two_ids_is_that_of_the_second() -> None:
    latents = torch.tensor([[[math.log(2), math.log(5)], [9.0, 9.0]]]).double()  # odds of 2, 5 and 1

    penalty = scoring()(torch.zeros(1), encoded(latents, [[2, 1]]), 1.0)

    assert penalty.loss.item() == penalty.own_loss.item() == pytest.approx(math.log(8 / 5))


def test_a_learned_first_latent_adds_the_error_of_the_first() -> None:
    latents = torch.tensor([[[math.log(2), math.log(5)], [9.0, 9.0]]]).double()  # it starts at 0: even odds

    penalty = scoring(first="learned")(torch.zeros(1), encoded(latents, [[2, 1]]), 1.0)

    assert penalty.own_loss.item() == pytest.approx((math.log(3) + math.log(8 / 5)) / 2)


def test_absent_ids_do_not_count() -> None:
    latents = torch.tensor([[[math.log(2), math.log(5)], [9.0, 9.0]]]).double().expand(2, 2, 2)

    penalty = scoring()(torch.zeros(2), encoded(latents, [[2, 1], [0, -1]]), 1.0)

    assert penalty.own_loss.item() == pytest.approx(math.log(8 / 5))


def test_a_sample_of_one_id_has_no_error() -> None:
    penalty = built()(torch.zeros(2), encoded(drawn(2, 1, 2), [[0], [1]]), 1.0)

    assert penalty.loss.item() == penalty.own_loss.item() == 0


def test_ids_that_the_previous_one_determines_can_be_predicted() -> None:
    regularizer = built()
    latents = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]]).double()
    batch = encoded(latents, [[0, 1], [1, 0]])
    optimizer = torch.optim.Adam(regularizer.parameters(), lr=0.1)

    for _ in range(100):
        optimizer.zero_grad()
        regularizer(torch.zeros(2), batch, 0.0).own_loss.backward()
        optimizer.step()

    assert regularizer(torch.zeros(2), batch, 0.0).own_loss.item() < 0.02


def test_only_the_context_gets_a_gradient() -> None:
    latents = drawn(1, 2, 2).requires_grad_()

    (gradient,) = torch.autograd.grad(built()(torch.zeros(1), encoded(latents, [[0, 1]]), 1.0).loss, latents)

    assert gradient[0].any(-1).tolist() == [True, False]


@pytest.mark.parametrize("space", ["compared", "raw", "straight-through"])
def test_the_gradient_reaches_only_the_encoder(space: Any) -> None:
    images = torch.rand(2, 1, 8, 8)
    tokenizer = Conv(channels=4).build(VQ(codes=16).build(), images)
    batch = tokenizer(images)

    CausalCE(layers=1, width=8, heads=2, space=space).build(tokenizer)(images, batch, 1.0).loss.backward()

    gradients = [parameter.grad for parameter in tokenizer.encoder.parameters()]
    assert all(gradient is not None and gradient.any() for gradient in gradients)
    others = [*tokenizer.decoder.parameters(), *tokenizer.bottleneck.parameters()]  # type: ignore[attr-defined]
    assert all(parameter.grad is None for parameter in others)


def test_the_weight_rises_as_that_of_causal_does() -> None:
    regularizer = built(start=0.5, ramp=0.2)

    penalty = regularizer(torch.zeros(1), encoded(drawn(1, 2, 2), [[0, 1]]), 0.6)

    assert penalty.loss.item() == pytest.approx(0.5 * penalty.own_loss.item())


def test_the_metrics_have_the_cross_entropy_and_the_usage_of_codes() -> None:
    penalty = built()(torch.zeros(1), encoded(drawn(1, 2, 2), [[0, 1]]), 1.0)

    assert penalty.metrics["cross_entropy"] == penalty.own_loss.item()
    assert penalty.metrics["codes_used"] == 2
    assert penalty.metrics["unigram_entropy"] == pytest.approx(math.log(2))


def test_continuous_codes_are_refused() -> None:
    batch = encoded(drawn(1, 2, 2), [[0, 1]])._replace(ids=None)

    with pytest.raises(ValueError, match="expected a tokenizer with ids, got one whose codes are continuous"):
        CausalCrossEntropy(CausalCE(), 2, 2, None)
    with pytest.raises(ValueError, match="expected ids, got codes that are continuous"):
        built()(torch.zeros(1), batch, 1.0)
