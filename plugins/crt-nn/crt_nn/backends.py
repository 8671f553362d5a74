"""Attention backends: torch's scaled_dot_product_attention, and xformers where it can run.

Axes: b batch, t queries, s keys, h heads, g heads of keys and values (a divisor of h), d head width.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

Backend: TypeAlias = Literal["auto", "xformers", "sdpa"]
Attend: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
"""Queries `b t h d`, keys and values `b s g d`, and a mask `b t s` (None: causal) to `b t h d`."""

XFORMERS = "xformers.ops.fmha"
"""The import root; upstream is moving it to `mslk.attention.fmha` (vllm-project/vllm#40703)."""


def sdpa(
    query: Float[Tensor, "b t h d"],
    key: Float[Tensor, "b s g d"],
    value: Float[Tensor, "b s g d"],
    visible: Bool[Tensor, "b t s"] | Float[Tensor, "b t s"] | None,
) -> Float[Tensor, "b t h d"]:
    """Attention by torch's `scaled_dot_product_attention`; a mask is of marks, or `additive`."""
    mask = None if visible is None else visible[:, None]  # b 1 t s
    mixed = functional.scaled_dot_product_attention(
        query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), attn_mask=mask, is_causal=visible is None,
        enable_gqa=key.shape[2] != query.shape[2],
    )  # fmt: skip
    return mixed.transpose(1, 2)


def additive(visible: Bool[Tensor, "b t s"], dtype: torch.dtype) -> Float[Tensor, "b t s"]:
    """Returns 0 where visible and -inf elsewhere, which `sdpa` else makes of marks at each call."""
    return torch.zeros_like(visible, dtype=dtype).masked_fill_(~visible, float("-inf"))


def bias(visible: Bool[Tensor, "b t s"], heads: int, dtype: torch.dtype) -> Float[Tensor, "b {heads} t s"]:
    """Returns 0 where visible and -inf elsewhere; xformers requires rows padded to a multiple of 8 in memory."""
    batch, queries, keys = visible.shape
    padded = torch.zeros(batch, 1, queries, -(-keys // 8) * 8, dtype=dtype, device=visible.device)
    return padded[..., :keys].masked_fill_(~visible[:, None], float("-inf")).expand(-1, heads, -1, -1)


def repeat_heads(shared: Float[Tensor, "b s g d"], heads: int) -> Float[Tensor, "b s {heads} d"]:
    """Repeats each head of keys or values, so that there are `heads` of them."""
    return shared if shared.shape[2] == heads else shared.repeat_interleave(heads // shared.shape[2], 2)


def _xformers(query: Tensor, key: Tensor, value: Tensor, visible: Tensor | None) -> Tensor:
    """Attention by xformers' `memory_efficient_attention`."""
    fmha = importlib.import_module(XFORMERS)
    mask = fmha.attn_bias.LowerTriangularMask() if visible is None else bias(visible, query.shape[2], query.dtype)
    key, value = repeat_heads(key, query.shape[2]), repeat_heads(value, query.shape[2])
    mixed: Tensor = fmha.memory_efficient_attention(query, key, value, attn_bias=mask)
    return mixed


def _try_xformers(device: torch.device, dtype: torch.dtype, width: int) -> None:
    """Runs xformers forward and backward with both kinds of mask."""
    logging.getLogger("xformers").setLevel(logging.ERROR)  # before the import, which warns of what it cannot load
    with torch.inference_mode(False), torch.enable_grad():
        probe = torch.zeros(1, 3, 1, width, dtype=dtype, device=device, requires_grad=True)
        for visible in (None, torch.ones(1, 3, 3, dtype=torch.bool, device=device)):
            _xformers(probe, probe, probe, visible).sum().backward()  # type: ignore[no-untyped-call]


def obstacle(device: torch.device, dtype: torch.dtype, width: int) -> str | None:
    """Returns why xformers cannot run on such tensors, or None.

    Cost: seconds for the import, which is made for CUDA alone.
    """
    package = XFORMERS.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        return f"{package} is not installed"
    named = f"{package} {importlib.metadata.version(package)}"
    if device.type != "cuda":
        return f"{named} cannot run on {device.type}"
    try:
        _try_xformers(device, dtype, width)
    except Exception as problem:  # a broken install raises anything
        first = next(iter(str(problem).splitlines()), type(problem).__name__)
        return f"{named} cannot run on {device.type} with heads of {width} {dtype}: {first}"
    return None


def choose(backend: Backend, like: Float[Tensor, "b t h d"]) -> tuple[Attend, str]:
    """Returns the backend for tensors like this one, and a text with its name and the reason for the choice.

    Raises: ValueError if `backend` is "xformers" and it cannot run.
    """
    if backend == "sdpa":
        return sdpa, "sdpa"
    problem = obstacle(like.device, like.dtype, like.shape[-1])
    if problem is None:
        package = XFORMERS.partition(".")[0]
        return _xformers, f"{package} {importlib.metadata.version(package)}"
    if backend == "xformers":
        raise ValueError(f"attention: expected xformers to run, but {problem}; ask for 'auto' or 'sdpa' instead")
    return sdpa, f"sdpa ({problem})"
