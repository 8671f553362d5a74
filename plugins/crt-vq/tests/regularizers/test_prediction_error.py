"""The prediction error of a latent, worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from crt_vq import Causal
from crt_vq.regularizers.prediction_error import FLOOR, output_width, prediction_error
from crtcore import FieldError

LATENT = torch.tensor([[[1.0, 2.0]]], dtype=torch.float64)
PREDICTED = torch.tensor([[[4.0, 4.0]]], dtype=torch.float64)
NATS = [(3**2 / 2 + math.log(4 * math.pi)) / 2, (2**2 / 0.5 + math.log(math.pi)) / 2]
"""Negative log-likelihood of the latent's channels under means of 4 and variances of 2 and 0.5."""


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, (3**2 + 2**2) / 2),
        ({"reduction": "sum"}, 3**2 + 2**2),
        ({"reduction": "norm"}, math.hypot(3, 2)),
        ({"error": "cosine"}, 1 - (4 * 1 + 4 * 2) / (math.hypot(4, 4) * math.hypot(1, 2))),
    ],
    ids=str,
)
def test_the_error_of_a_predicted_point(fields: dict[str, Any], error: float) -> None:
    spec = Causal(**fields)

    assert output_width(spec, 2) == 2
    assert prediction_error(spec, PREDICTED, LATENT).item() == pytest.approx(error)


@pytest.mark.parametrize(("reduction", "nats"), [("mean", sum(NATS) / 2), ("sum", sum(NATS))])
def test_the_error_of_a_predicted_gaussian(reduction: Any, nats: float) -> None:
    spec = Causal(error="nll", reduction=reduction)
    spread = (torch.tensor([[[2.0, 0.5]]], dtype=torch.float64) - FLOOR).expm1().log()  # the inverse of softplus

    error = prediction_error(spec, torch.cat([PREDICTED, spread], -1), LATENT)

    assert output_width(spec, 2) == 4
    assert error.item() == pytest.approx(nats)


def test_the_likelihood_of_an_exactly_predicted_latent_is_bounded() -> None:
    sure = torch.full_like(PREDICTED, -1e6)

    error = prediction_error(Causal(error="nll"), torch.cat([LATENT, sure], -1), LATENT)

    assert error.item() == pytest.approx(math.log(2 * math.pi * FLOOR) / 2)


def test_a_distance_of_zero_has_a_gradient_of_zero() -> None:
    predicted = LATENT.clone().requires_grad_()

    prediction_error(Causal(reduction="norm"), predicted, LATENT).sum().backward()

    assert predicted.grad is not None
    assert not predicted.grad.any()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"error": "cosine", "reduction": "sum"}, "expected 'mean' where the error is 'cosine', got 'sum'"),
        ({"error": "nll", "reduction": "norm"}, "expected 'mean' or 'sum' where the error is 'nll', got 'norm'"),
    ],
)
def test_a_reduction_that_an_error_does_not_have_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(FieldError, match=f"reduction: {message}"):
        Causal(**fields)
