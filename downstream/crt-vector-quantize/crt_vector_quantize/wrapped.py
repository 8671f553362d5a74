"""The library's module behind the contract of a bottleneck.

Axes: b batch, n features of a sample, w channels.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.ranges import check_features, check_ids
from crt_vector_quantize import VectorQuantize
from crtcore import Noise
from crtcore.kinds import BottleneckOutput, Encoded


class Wrapped(nn.Module):
    """Reads ids and entries of the library's module; that module updates its entries in `after_step` alone."""

    def __init__(self, spec: VectorQuantize) -> None:
        super().__init__()
        from vector_quantize_pytorch import VectorQuantize as Library

        self.width = spec.width
        self.vocabulary = spec.codes
        self.commitment = spec.commitment
        self.inner: Any = Library(dim=spec.width, codebook_size=spec.codes, decay=spec.decay).eval()

    def train(self, mode: bool = True) -> Wrapped:
        """Sets the mode of this module; the library's stays in evaluation, where a pass updates nothing."""
        super().train(mode)
        self.inner.eval()
        return self

    def lookup(self, ids: Tensor) -> Tensor:
        """The entries, b n w, that `ids`, b n, name.

        Raises: ValueError if an id is absent or not below the vocabulary.
        """
        check_ids(ids, self.vocabulary)
        entries: Tensor = self.inner.get_codes_from_indices(ids)
        return entries

    def forward(self, features: Tensor, *, noise: Noise | None = None) -> BottleneckOutput:
        """The nearest entries of `features`, b n w; the gradient passes straight through. No noise is used.

        Units: rate in nats, the logarithm of the vocabulary for each feature.
        Raises: ValueError if a feature is not finite, or has another width.
        """
        check_features(features, self.width)
        with torch.no_grad():
            _, ids, _ = self.inner(features)
        entries = self.lookup(ids).to(features.dtype)
        codes = entries + (features - features.detach())  # adds exactly 0, and the gradient
        rate = features.new_full((len(features),), features.shape[1] * math.log(self.vocabulary))
        return BottleneckOutput(codes, features, ids, rate, self.commitment * functional.mse_loss(features, entries))

    @torch.no_grad()
    def after_step(self, encoded: Encoded) -> None:
        """Moves the entries toward the features of a training step, where they are not padding."""
        self.inner.train()
        self.inner(encoded.latents, mask=encoded.mask)
        self.inner.eval()
