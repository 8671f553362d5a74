"""Logits to a distribution and a distribution to ids, for every decoder: target and draft are treated alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crtcore.settings import Sampling

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor


def probabilities(logits: Float[Tensor, "... v"], sampling: Sampling) -> Float[Tensor, "... v"]:
    """The distribution of logits under `sampling`: bans, temperature, then top-k, top-p and min-p, renormalised.

    Rows keep float64 and are float32 otherwise; ids ruled out have exactly 0. Among equals the smaller id stays.
    A row whose largest logit, of those not banned, is not finite becomes NaN.
    Raises: ValueError if a banned id is not below v, or every id is banned.
    """
    import torch

    logits = logits if logits.dtype == torch.float64 else logits.float()
    if sampling.banned:
        logits = logits.index_fill(-1, _below(logits.shape[-1], sampling.banned).to(logits.device), -torch.inf)
    peak = logits.amax(-1, keepdim=True)  # ... 1
    if sampling.temperature == 0:
        first = logits.argmax(-1, keepdim=True)
        return torch.zeros_like(logits).scatter_(-1, first, 1.0) + (peak - peak)  # NaN where there is no finite peak
    # Less the peak first, which a small temperature cannot overflow.
    distribution = torch.softmax((logits - peak).div_(sampling.temperature), -1)
    if not (sampling.top_k or sampling.top_p < 1 or sampling.min_p):
        return distribution
    ranked, order = distribution.sort(dim=-1, descending=True, stable=True)
    keep = ranked >= sampling.min_p * ranked[..., :1]
    keep &= ranked.cumsum(-1) - ranked < sampling.top_p
    if sampling.top_k:
        keep[..., sampling.top_k :] = False
    keep[..., 0] = True  # top_p = 0 keeps the most likely id
    ranked = ranked * keep
    ranked = ranked / ranked.sum(-1, keepdim=True)
    return torch.zeros_like(distribution).scatter(-1, order, ranked)


def _below(vocabulary: int, banned: tuple[int, ...]) -> Int[Tensor, " k"]:
    """The banned ids, once it is known that the vocabulary has them and others."""
    import torch

    if max(banned) >= vocabulary:
        raise ValueError(f"sampling.banned: expected ids below the vocabulary, {vocabulary}, got {max(banned)}")
    if len(set(banned)) == vocabulary:
        raise ValueError(f"sampling.banned: expected an id that may be drawn, got all {vocabulary} banned")
    return torch.tensor(banned)


def pick(weights: Float[Tensor, "... v"], uniforms: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
    """One id a row, drawn in proportion to `weights` (non-negative, sum about 1 or less, not all 0) by 32-bit uniforms.

    The weights become multiples of 2**-60, so that the sum has no order and an id of weight 0 cannot come out.
    """
    import torch

    wide = weights.to(torch.promote_types(weights.dtype, torch.float32))  # which a power of two leaves exact
    steps = (wide * 2.0**60).long().cumsum_(-1)  # ... v
    total = steps[..., -1]
    high, middle, low = total >> 32, total >> 16 & 0xFFFF, total & 0xFFFF
    mark = high * uniforms + (middle * uniforms + (low * uniforms >> 16) >> 16)  # total * u / 2**32, below total
    return torch.searchsorted(steps, mark[..., None], right=True)[..., 0]
