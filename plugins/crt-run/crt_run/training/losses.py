"""The loss of one step: its terms, those of regularisers, and the gradient norm of each term at the features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from crtcore.kinds import Encoded, Regularizer


class Loss(NamedTuple):
    """The loss of one step, and the metrics to record with it."""

    total: Tensor
    """The scalar that is minimised."""
    metrics: Mapping[str, float | Tensor]
    terms: Mapping[str, Tensor] = MappingProxyType({})
    """Terms of the total whose gradient norms are recorded one by one; the rest is recorded as `tokenizer`."""
    encoded: Encoded | None = None
    """What a tokenizer computed: gradient norms are taken at its features, and `after_step` gets it."""


def penalised(
    data: Tensor, encoded: Encoded, regularizers: Mapping[str, tuple[Regularizer, float]], progress: float
) -> Loss:
    """The tokenizer's loss plus `weight * loss + own_loss` of every regulariser.

    A regulariser of weight 0 gets a detached `Encoded`: it still learns, and sends no gradient to the tokenizer.
    """
    total = encoded.loss
    terms: dict[str, Tensor] = {}
    metrics: dict[str, float | Tensor] = {"distortion": encoded.distortion.mean(), "rate": encoded.rate.mean()}
    for name, (regularizer, weight) in regularizers.items():
        output = regularizer(data, encoded if weight else detached(encoded), progress)
        if weight:
            terms[name] = weight * output.loss
        total = total + output.own_loss + terms.get(name, 0)
        metrics |= {f"{name}.{key}": value for key, value in output.metrics.items()}
    return Loss(total, metrics, terms, encoded)


@contextmanager
def feature_gradient_norms(loss: Loss) -> Iterator[dict[str, Tensor]]:
    """Yields a dict that holds, after `total.backward()` inside, the gradient norm of each term at the features.

    The gradient of the rest, `tokenizer`, is the total's minus the terms', so that only the terms are propagated twice.
    """
    norms: dict[str, Tensor] = {}
    features = None if loss.encoded is None else loss.encoded.features
    if features is None or not features.requires_grad:
        yield norms
        return
    gradients = {name: _gradient(term, features) for name, term in loss.terms.items()}
    features.retain_grad()
    yield norms
    if features.grad is not None:
        norms["tokenizer"] = (features.grad - sum(gradients.values())).norm()
        norms.update({name: gradient.norm() for name, gradient in gradients.items()})


def _gradient(term: Tensor, features: Tensor) -> Tensor:
    if not term.requires_grad:
        return torch.zeros_like(features)
    (gradient,) = torch.autograd.grad(term, features, retain_graph=True, allow_unused=True, materialize_grads=True)
    return gradient


def scaled(loss: Loss, factor: float) -> Loss:
    """The loss and its terms times a factor."""
    if factor == 1:
        return loss
    return loss._replace(total=loss.total * factor, terms={name: term * factor for name, term in loss.terms.items()})


def without_graph(loss: Loss) -> Loss:
    """Values without their graph, and no terms."""
    metrics = {name: torch.as_tensor(value).detach() for name, value in loss.metrics.items()}
    return Loss(loss.total.detach(), metrics, {}, None if loss.encoded is None else detached(loss.encoded))


def detached(encoded: Encoded) -> Encoded:
    """The same values without their graph."""
    return Encoded._make(value if value is None else value.detach() for value in encoded)
