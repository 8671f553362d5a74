"""Builds a trained prior over a larger vocabulary and keeps its rows.

Axes: v ids. A tensor has a row for each id if its first axis has as many rows as the prior has ids, before and after;
every other tensor must have the same shape in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from crtcore.kinds import PriorSpec


def widened(
    spec: PriorSpec, weights: Mapping[str, Tensor], *, before: int, after: int, length: int, classes: int | None
) -> Any:
    """Builds the prior of `spec` over `after` ids, with trained `weights` of the same spec over `before` ids.

    The first rows are the trained ones, bit for bit. A new row is their mean plus the row's own first values, so that a
    new id starts about as likely as an average one, and no two embeddings are equal.
    Raises: ValueError if `after` is less than `before`, or a tensor has neither the same shape nor more rows.
    Source: Hewitt (2021), Initializing new word embeddings for pretrained language models.
    """
    if after < before:
        raise ValueError(f"expected at least the {before} ids that were trained, got {after}")
    prior = spec.build(after, length, classes)
    if not isinstance(prior, nn.Module):
        raise ValueError(f"expected a prior with weights to widen, got {type(prior).__name__}")
    own = prior.state_dict()
    for name in sorted(own.keys() | weights.keys()):
        expected, got = (list(each[name].shape) if name in each else None for each in (own, weights))
        if expected != got and (
            expected is None or got is None or [before, *expected[1:]] != got or expected[0] != after
        ):
            raise ValueError(
                f"{name}: expected {expected or 'no such tensor'}, or {before} rows in place of {after}, got "
                f"{got or 'none'}; give the weights of this spec, trained over {before} ids"
            )
    prior.load_state_dict({name: _rows(weights[name], start) for name, start in own.items()})
    return prior


def _rows(trained: Tensor, start: Tensor) -> Tensor:
    if trained.shape == start.shape:
        return trained
    result = start + trained.mean(0)
    result[: len(trained)] = trained
    return result
