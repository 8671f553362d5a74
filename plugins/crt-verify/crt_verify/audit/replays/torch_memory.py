"""Which elements of torch's tensors are random numbers without a value, by the memory that they lie in.

Views share memory, so a number that is drawn in place, read through a view or copied into a slice is the same number.
The memory itself holds NaN, so that a value that is read in spite of all this shows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from crt_verify.audit.branches import NotFollowed
from crt_verify.audit.replays.noise import Noise, fixed
from crt_verify.audit.replays.source import Source


class Memory:
    """The random numbers in each block of memory; a block's are one flat array."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._blocks: dict[int, tuple[Any, Noise]] = {}

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def holds(self, value: Any) -> bool:
        """Whether a value is a tensor whose memory has random numbers."""
        return isinstance(value, Tensor) and _key(value) in self._blocks

    def read(self, value: Any) -> Any:
        """The random numbers of a tensor, or the constants of a tensor or number as float64."""
        if not isinstance(value, Tensor):
            return np.asarray(value, float)
        if not self.holds(value):
            return value.detach().double().numpy()
        noise = self._blocks[_key(value)][1].each(lambda part: part[_places(value)])
        return noise.shift if noise.constant else noise

    def settled(self, tensor: Tensor) -> Tensor | None:
        """A tensor of constants that lie beside random numbers; None if it has random numbers itself."""
        values = self.read(tensor)
        return None if isinstance(values, Noise) else torch.tensor(values, dtype=tensor.dtype)

    def make(self, noise: Any, dtype: torch.dtype) -> Shaped[Tensor, "..."]:
        """A new tensor of random numbers, or of constants.

        Raises: NotFollowed if random numbers would be cast to integers.
        """
        if not isinstance(noise, Noise) or noise.constant:
            return torch.tensor(noise.shift if isinstance(noise, Noise) else noise, dtype=dtype)
        if not dtype.is_floating_point:
            raise NotFollowed(f"random numbers are cast to {dtype}")
        tensor = torch.full(noise.shape, torch.nan, dtype=dtype)
        self._keep(tensor, noise.each(np.ravel))
        return tensor

    def write(self, tensor: Tensor, values: Any, at: Any = ...) -> None:
        """Puts random numbers or constants into a tensor's memory, where `at` says.

        Raises: NotFollowed if two kinds of noise would lie beside each other.
        """
        values = values if isinstance(values, Noise) else fixed(self.source, values)
        places = _places(tensor)[at]
        values = values.each(lambda part: np.broadcast_to(part, places.shape))
        if self.holds(tensor):
            old = self._blocks[_key(tensor)][1]
        else:
            old = fixed(self.source, _whole(tensor).double().numpy())
        rest = old.variable >= 0
        rest[places] = False
        if values.kind is not old.kind and rest.any() and not values.constant:
            raise NotFollowed(f"{values.kind.value} is put beside {old.kind.value}")
        parts = [part.copy() for part in (old.variable, old.shift, old.scale)]
        for part, new in zip(parts, (values.variable, values.shift, values.scale), strict=True):
            part[places] = new
        noise = Noise(self.source, old.kind if values.constant else values.kind, *parts)
        whole = _whole(tensor)
        if noise.constant:
            self._blocks.pop(_key(tensor), None)
            whole.copy_(torch.tensor(noise.shift))
        else:
            whole.fill_(torch.nan)
            self._keep(tensor, noise)

    def _keep(self, tensor: Tensor, noise: Noise) -> None:
        self._blocks[_key(tensor)] = tensor.untyped_storage(), noise


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _whole(tensor: Tensor) -> Tensor:
    """All elements of a tensor's memory."""
    return torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage())


def _places(tensor: Tensor) -> Any:
    """Where each element lies in its memory, int64 of the tensor's shape."""
    size = tensor.untyped_storage().nbytes() // tensor.itemsize
    return torch.arange(size).as_strided(tensor.shape, tensor.stride(), tensor.storage_offset()).numpy()
