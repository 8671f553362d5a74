"""Attention of METAs to METAs.

Axes: b batch, t new positions, s positions seen, m METAs of the row with most of them, w width.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from crt_nn.context import AttentionContext


def places_of(meta: int, context: AttentionContext) -> Bool[Tensor, "b t"]:
    """Which of the new positions are META.

    Raises: ValueError if the scope does not tell the ids.
    """
    if context.ids is None:
        raise ValueError("expected a scope that tells the ids, got one without")
    return context.ids == meta


class MetaAttention(nn.Module):
    """A causal attention that METAs alone take part in; every other position gets exactly 0.

    Source: Shah et al. (2025), arXiv:2509.16278; the formula there leaves NaN at other positions.
    """

    def __init__(self, inner: nn.Module, meta: int) -> None:
        super().__init__()
        self.inner = inner
        self.meta = meta

    def forward(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """What each META read.

        Raises: ValueError if the scope does not tell the ids.
        Cost: m squared in a pass over whole samples; in a session shapes alone decide the work, and it is all of `t s`.
        """
        metas = places_of(self.meta, context)
        whole = context.visible is None and context.cache is None
        return self._gathered(features, context, metas) if whole else self._masked(features, context, metas)

    def _gathered(
        self, features: Float[Tensor, "b t w"], context: AttentionContext, metas: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t w"]:
        """METAs taken out, side by side at the front, and what they read put back."""
        most = max(1, int(metas.sum(-1).max()))  # one at least, as no backend takes an empty row
        places = (~metas).to(torch.int8).argsort(dim=-1, stable=True)[:, :most]  # b m
        there = places[..., None].expand(-1, -1, features.shape[-1])
        mixed: Tensor = self.inner(
            features.gather(1, there), AttentionContext(context.positions.gather(1, places), step=context.step)
        )
        kept = mixed.masked_fill(~metas.gather(1, places)[..., None], 0)
        return kept.new_zeros(features.shape).scatter(1, there, kept)

    def _masked(
        self, features: Float[Tensor, "b t w"], context: AttentionContext, metas: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t w"]:
        """Every position's attention, of which METAs see METAs and what others saw is dropped."""
        (seen,) = context.update(self, metas)  # b s
        visible = context.visible
        if visible is None:  # a session opens
            visible = metas.new_ones(metas.shape[1], metas.shape[1]).tril().expand(len(metas), -1, -1)  # b t t
        among = visible & (seen[:, None] | ~metas[..., None])  # others see what they may, so that no row is empty
        mixed: Tensor = self.inner(features, context._replace(visible=among))
        return mixed.masked_fill(~metas[..., None], 0)
