"""Widening: a trained prior built over more ids, with what it knew of those it had.

Axes: v ids. A tensor has a row for each id if that is its first axis, and if it has as many rows as the prior has ids
before and after; every other tensor must have one shape in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from crtcore.kinds import PriorSpec


def widened(
    spec: PriorSpec, weights: Mapping[str, Tensor], *, before: int, after: int, length: int, classes: int | None
) -> Any:
    """The prior that `spec` builds over `after` ids, with the trained `weights` of the same spec over `before` ids.

    The first rows are the trained ones, bit for bit. A new one is the mean of those plus what the prior itself starts
    such a row with, so that a new id begins as likely as a middling old one and no two embeddings are the same.
    Raises: ValueError if there are fewer ids after than before, or a tensor is neither as it was nor widened by rows.
    Source: Hewitt (2021), Initializing new word embeddings for pretrained language models.
    """
    if after < before:
        raise ValueError(f"expected at least the {before} ids that were trained, got {after}")
    prior = spec.build(after, length, classes)
    if not isinstance(prior, nn.Module):
        raise ValueError(f"expected a prior with weights to widen, got {type(prior).__name__}")
    own = prior.state_dict()
    for name in sorted(own.keys() | weights.keys()):
        wanted, found = (list(each[name].shape) if name in each else None for each in (own, weights))
        if wanted != found and (
            wanted is None or found is None or [before, *wanted[1:]] != found or wanted[0] != after
        ):
            raise ValueError(
                f"{name}: expected {wanted or 'no such tensor'}, or that with {before} rows for {after}, got "
                f"{found or 'none'}; give the weights of this spec, trained over {before} ids"
            )
    prior.load_state_dict({name: _rows(weights[name], start) for name, start in own.items()})
    return prior


def _rows(trained: Tensor, start: Tensor) -> Tensor:
    if trained.shape == start.shape:
        return trained
    found = start + trained.mean(0)
    found[: len(trained)] = trained
    return found
