"""What one step minimises: terms, the penalties of regularisers, and the gradients that each sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from crtcore.kinds import Encoded, Regularizer


class Loss(NamedTuple):
    """What one step minimises, and numbers worth recording."""

    total: Tensor
    metrics: Mapping[str, float | Tensor]
    terms: Mapping[str, Tensor] = MappingProxyType({})
    """Terms of the total whose gradients are recorded apart from the rest's, which goes by `tokenizer`."""
    features: Tensor | None = None
    """Where those gradients are looked at; None if nowhere."""


def penalised(
    data: Tensor, encoded: Encoded, regularizers: Mapping[str, tuple[Regularizer, float]], progress: float
) -> Loss:
    """The tokenizer's loss plus every regulariser's: `weight * loss + own`.

    At weight 0 a regulariser is called on a detached `Encoded`: it still learns, and the tokenizer sees nothing.
    """
    total = encoded.loss
    terms: dict[str, Tensor] = {}
    metrics: dict[str, float | Tensor] = {"distortion": encoded.distortion.mean(), "rate": encoded.rate.mean()}
    for name, (regularizer, weight) in regularizers.items():
        penalty = regularizer(data, encoded if weight else detached(encoded), progress)
        if weight:
            terms[name] = weight * penalty.loss
        total = total + penalty.own_loss + terms.get(name, 0)
        metrics |= {f"{name}.{key}": value for key, value in penalty.metrics.items()}
    return Loss(total, metrics, terms, encoded.features)


@contextmanager
def feature_gradient_norms(loss: Loss) -> Iterator[dict[str, Tensor]]:
    """The norms of the gradients at the features, of each term and of the rest, once the total is propagated inside.

    The rest's is what the total's has more than the terms', so that no part of the loss is propagated back twice
    whose hooks might do something at it.
    """
    norms: dict[str, Tensor] = {}
    features = loss.features
    if features is None or not features.requires_grad:
        yield norms
        return
    gradients = {name: _gradient(term, features) for name, term in loss.terms.items()}

    def told(total: Tensor) -> None:
        norms["tokenizer"] = (total - sum(gradients.values())).norm()
        norms.update({name: gradient.norm() for name, gradient in gradients.items()})

    handle = features.register_hook(told)  # type: ignore[no-untyped-call]
    try:
        yield norms
    finally:
        handle.remove()


def _gradient(term: Tensor, features: Tensor) -> Tensor:
    if not term.requires_grad:
        return torch.zeros_like(features)
    (gradient,) = torch.autograd.grad(term, features, retain_graph=True, allow_unused=True, materialize_grads=True)
    return gradient


def detached(encoded: Encoded) -> Encoded:
    """The same values, out of the gradient's reach."""
    return Encoded._make(value if value is None else value.detach() for value in encoded)
