"""Attention among METAs.

Axes: b batch, t new positions, s positions seen, m most METAs of a row, w width.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from crt_nn.context import AttentionContext


def meta_positions(meta: int, context: AttentionContext) -> Bool[Tensor, "b t"]:
    """Which of the new positions are META.

    Raises: ValueError if the context has no ids.
    """
    if context.ids is None:
        raise ValueError("expected a context with ids, got one without")
    return context.ids == meta


class MetaAttention(nn.Module):
    """Causal attention among METAs; the output at every other position is exactly 0.

    Source: Shah et al. (2025), arXiv:2509.16278; the formula there leaves NaN at other positions.
    """

    def __init__(self, inner: nn.Module, meta: int) -> None:
        super().__init__()
        self.inner = inner
        self.meta = meta

    def forward(self, features: Float[Tensor, "b t w"], context: AttentionContext) -> Float[Tensor, "b t w"]:
        """The attention output of each META.

        Raises: ValueError if the context has no ids.
        Cost: m squared in a pass over whole samples; `t s` in a session, where only shapes may determine the work.
        """
        metas = meta_positions(self.meta, context)
        whole = context.visible is None and context.cache is None
        return self._gathered(features, context, metas) if whole else self._masked(features, context, metas)

    def _gathered(
        self, features: Float[Tensor, "b t w"], context: AttentionContext, metas: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t w"]:
        """Gathers the METAs of each row, attends among them, and scatters the results back."""
        most = max(1, int(metas.sum(-1).max()))  # at least one, as no backend accepts an empty row
        places = (~metas).to(torch.int8).argsort(dim=-1, stable=True)[:, :most]  # b m
        index = places[..., None].expand(-1, -1, features.shape[-1])
        mixed: Tensor = self.inner(
            features.gather(1, index), AttentionContext(context.positions.gather(1, places), noise=context.noise)
        )
        kept = mixed.masked_fill(~metas.gather(1, places)[..., None], 0)
        return kept.new_zeros(features.shape).scatter(1, index, kept)

    def _masked(
        self, features: Float[Tensor, "b t w"], context: AttentionContext, metas: Bool[Tensor, "b t"]
    ) -> Float[Tensor, "b t w"]:
        """Attention of every position, with METAs masked to METAs and the output of others set to 0."""
        (seen,) = context.update(self, metas)  # b s
        visible = context.visible
        if visible is None:  # a session opens
            visible = metas.new_ones(metas.shape[1], metas.shape[1]).tril().expand(len(metas), -1, -1)  # b t t
        among = visible & (seen[:, None] | ~metas[..., None])  # others keep their own mask, so that no row is empty
        mixed: Tensor = self.inner(features, context._replace(visible=among))
        return mixed.masked_fill(~metas[..., None], 0)
