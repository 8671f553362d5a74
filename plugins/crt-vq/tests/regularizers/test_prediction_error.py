"""How far a latent is from what was said of it, worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from crt_vq import Causal
from crt_vq.regularizers.prediction_error import FLOOR, misfit, outputs
from crtcore import FieldError

LATENT = torch.tensor([[[1.0, 2.0]]], dtype=torch.float64)
SAID = torch.tensor([[[4.0, 4.0]]], dtype=torch.float64)
NATS = [(3**2 / 2 + math.log(4 * math.pi)) / 2, (2**2 / 0.5 + math.log(math.pi)) / 2]
"""Of the latent's channels under means of 4 and variances of 2 and 0.5."""


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
def test_the_misfit_of_a_point(fields: dict[str, Any], error: float) -> None:
    spec = Causal(**fields)

    assert outputs(spec, 2) == 2
    assert misfit(spec, SAID, LATENT).item() == pytest.approx(error)


@pytest.mark.parametrize(("reduction", "nats"), [("mean", sum(NATS) / 2), ("sum", sum(NATS))])
def test_the_misfit_of_a_gaussian(reduction: Any, nats: float) -> None:
    spec = Causal(error="nll", reduction=reduction)
    spread = (torch.tensor([[[2.0, 0.5]]], dtype=torch.float64) - FLOOR).expm1().log()  # what softplus turns back

    error = misfit(spec, torch.cat([SAID, spread], -1), LATENT)

    assert outputs(spec, 2) == 4
    assert error.item() == pytest.approx(nats)


def test_a_latent_that_is_foretold_exactly_has_a_likelihood_with_a_bound() -> None:
    sure = torch.full_like(SAID, -1e6)

    error = misfit(Causal(error="nll"), torch.cat([LATENT, sure], -1), LATENT)

    assert error.item() == pytest.approx(math.log(2 * math.pi * FLOOR) / 2)


def test_a_distance_of_zero_has_a_gradient_of_zero() -> None:
    said = LATENT.clone().requires_grad_()

    misfit(Causal(reduction="norm"), said, LATENT).sum().backward()

    assert said.grad is not None
    assert not said.grad.any()


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
