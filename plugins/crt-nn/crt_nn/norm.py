"""Root-mean-square normalisation."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.native import kernels
from crt_nn.packed import Frozen, Place, native


class RMSNorm(nn.Module):
    """Scales each vector to unit mean square, then each channel by a learned gain.

    Source: Zhang and Sennrich (2019), arXiv:1910.07467, eq. 4.
    """

    def __init__(self, width: int, *, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gain = nn.Parameter(torch.ones(width))
        self.packed: FrozenNorm | None = None

    def forward(self, features: Float[Tensor, "... w"]) -> Float[Tensor, "... w"]:
        """Returns the scaled features; the mean square is computed in float32 at least."""
        if self.packed is not None and not torch.is_grad_enabled():
            return self.packed(features)
        wide = features.float() if features.dtype.itemsize < torch.float32.itemsize else features
        return functional.rms_norm(wide, self.gain.shape, eps=self.epsilon).to(features.dtype) * self.gain

    def pack(self) -> int:
        """Prepares the frozen gain, and returns its bytes."""
        self.packed = FrozenNorm(Place(self, "gain"), self.epsilon)
        return self.gain.nbytes


class FrozenNorm(Frozen):
    """The norm by a kernel, or in fewer operations, by lengths of vectors: `x sqrt(w) / hypot(|x|, sqrt(w epsilon))`.

    Cost: 8 microseconds for 8 vectors of 576 channels on a CPU, where the mean of squares takes 20.
    """

    def __init__(self, gain: Place, epsilon: float) -> None:
        super().__init__([gain])
        (self.gain,) = self.sources
        self.epsilon, self._native = epsilon, native()
        self._root = len(self.gain) ** 0.5
        self._scaled = self.gain * self._root
        self._least = torch.tensor(self._root * epsilon**0.5)

    def __call__(self, features: Float[Tensor, "... w"]) -> Float[Tensor, "... w"]:
        """Returns the scaled features, without gradients.

        Raises: ValueError if the gain has changed, or features differ from it in dtype or device.
        """
        self.check()
        self.accept(features)
        if self._native:
            return kernels.norm(features, self.gain, self.epsilon)
        lengths = torch.linalg.vector_norm(features, dim=-1, keepdim=True, dtype=torch.float32).hypot_(self._least)
        if features.dtype == torch.float32:
            result: Tensor = (features / lengths).mul_(self._scaled)
        else:
            result = (features / lengths.div_(self._root)).to(features.dtype).mul_(self.gain)
        return result
