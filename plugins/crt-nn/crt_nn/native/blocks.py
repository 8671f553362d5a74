"""A whole block in one call: attention behind a norm and a cache, then a gated feed-forward layer behind a norm.

The kernels are those of `kernels`, in the same order, so that every bit is the same; Python and torch are left out
between them.

Axes: b batch, t new positions, s slots that are seen, w width, c heads of keys and of values, d channels of a head,
p pairs of channels.
"""

from __future__ import annotations

import ctypes

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from crt_nn.native.kernels import Panels, library


class _Matrix(ctypes.Structure):
    """`Matrix` of blocks.h."""

    _fields_ = (
        ("panels", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("outward", ctypes.c_long),
        ("brain", ctypes.c_int),
    )


class _Weights(ctypes.Structure):
    """`Weights` of blocks.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("first", "second", "query", "key")),
        *((name, _Matrix) for name in ("inward", "outward", "up", "down")),
        *((name, ctypes.c_long) for name in ("width", "heads", "groups", "channels")),
        *((name, ctypes.c_float) for name in ("first_epsilon", "second_epsilon", "head_epsilon")),
        ("brain", ctypes.c_int),
    )


class _Step(ctypes.Structure):
    """`Step` of blocks.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("stream", "result", "turns", "cache", "visible")),
        *((name, ctypes.c_long) for name in ("batch", "steps", "slots", "offset", "cached")),
        ("threads", ctypes.c_int),
    )


class Gain:
    """The gain of a norm, and what is added to the mean square."""

    def __init__(self, gain: Float[Tensor, " w"], epsilon: float) -> None:
        self.gain, self.epsilon = gain, epsilon


class Matrix:
    """A packed matrix and its bias."""

    def __init__(self, panels: Panels, bias: Float[Tensor, " o"] | None) -> None:
        self.panels, self.bias = panels, bias

    def struct(self) -> _Matrix:
        """Pointers to it, which it has to outlive."""
        bias = 0 if self.bias is None else self.bias.data_ptr()
        return _Matrix(self.panels.values.data_ptr(), bias, self.panels.outward, self.panels.brain)


class Whole:
    """The weights of a block."""

    def __init__(
        self, norms: tuple[Gain, Gain], heads: tuple[Gain, Gain] | None,
        matrices: tuple[Matrix, Matrix, Matrix, Matrix], *, numbers: tuple[int, int, int],
    ) -> None:  # fmt: skip
        """`numbers` are heads, heads of keys and values, and channels; `matrices` inward, outward, up and down."""
        self._kept = norms, heads, matrices
        first, second = norms
        self.dtype, self.width = first.gain.dtype, len(first.gain)
        query, key = (each.gain.data_ptr() for each in heads) if heads else (0, 0)
        epsilons = first.epsilon, second.epsilon, heads[0].epsilon if heads else 0.0
        self._weights = _Weights(
            first.gain.data_ptr(), second.gain.data_ptr(), query, key, *(each.struct() for each in matrices),
            self.width, *numbers, *epsilons, self.dtype == torch.bfloat16,
        )  # fmt: skip
        self._pointer = ctypes.addressof(self._weights)

    def __call__(
        self,
        stream: Float[Tensor, "b t w"],
        turns: Complex[Tensor, "b t 1 p"],
        cache: Float[Tensor, "b all c d"],
        offset: int,
        visible: Bool[Tensor, "b t s"] | None,
    ) -> Float[Tensor, "b t w"]:
        """Returns the stream after the block; keys and values of the new positions go to slots from `offset` on."""
        stream, turns = stream.contiguous(), turns.to(torch.complex64).contiguous()
        seen = None if visible is None else visible.contiguous()
        result = torch.empty_like(stream)
        batch, steps = stream.shape[:2]
        step = _Step(
            stream.data_ptr(), result.data_ptr(), turns.data_ptr(), cache.data_ptr(),
            0 if seen is None else seen.data_ptr(), batch, steps, offset + steps, offset, cache.shape[1],
            torch.get_num_threads(),
        )  # fmt: skip
        library().crt_block(self._pointer, ctypes.addressof(step))
        return result
