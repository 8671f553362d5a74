"""Finite scalar quantisation: each channel bounded, then rounded to its levels.

Axes: b batch, n features of a sample, w channels; a code is as wide as a feature.
Source: Mentzer et al. (2023), arXiv:2309.15505, section 3 and the listing in appendix A.1.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from crt_basics.bottlenecks.specs import FSQ
from crtcore.kinds import BottleneckOutput
from crtcore.noise import Noise

_MARGIN = 1e-3  # appendix A.1, `eps`


class Grid(nn.Module):
    """Rounds every channel to one of its levels, spread over -1 to 1; the first channel is an id's lowest digit."""

    levels: Tensor
    strides: Tensor
    reach: Tensor

    def __init__(self, spec: FSQ) -> None:
        super().__init__()
        self.spec = spec
        self.width = len(spec.levels)
        self.vocabulary: int = math.prod(spec.levels)
        strides = [math.prod(spec.levels[:channel]) for channel in range(self.width)]
        self.register_buffer("levels", torch.tensor(spec.levels), persistent=False)
        self.register_buffer("strides", torch.tensor(strides), persistent=False)
        # Floating, so that codes follow `.double()` and the like.
        self.register_buffer("reach", (self.levels // 2).to(torch.get_default_dtype()), persistent=False)

    def bound(self, features: Float[Tensor, "b n w"]) -> Float[Tensor, "b n w"]:
        """Channels from their lowest to their highest level, one apart; an even number has one more below 0 than above.

        Source: appendix A.1, `bound`.
        """
        half = (self.levels - 1).to(features.dtype) * (1 - _MARGIN) / 2
        offset = (1 - self.levels % 2).to(features.dtype) / 2
        return torch.tanh(features + torch.tan(offset / half)) * half - offset

    def lookup(self, ids: Int[Tensor, "b n"]) -> Float[Tensor, "b n w"]:
        """The codes that `ids` name.

        Raises: IndexError if an id is absent or not under the vocabulary.
        """
        if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < math.prod(self.spec.levels):
            raise IndexError(f"expected ids from 0 to {math.prod(self.spec.levels) - 1}")
        steps = ids.unsqueeze(-1) // self.strides % self.levels - self.levels // 2  # b n w
        return steps / self.reach

    def forward(self, features: Float[Tensor, "b n w"], *, noise: Noise | None = None) -> BottleneckOutput:
        """Rounded channels; the gradient passes straight through the rounding.

        Units: rate in nats, the logarithm of the vocabulary for each feature; no noise is used.
        Raises: ValueError if w is not the number of channels with levels.
        """
        if features.shape[-1] != self.width:
            raise ValueError(f"expected features of width {self.width}, got {features.shape[-1]}")
        # Half precision merges neighbouring levels (many levels round alike): bound in the buffers' own.
        with torch.autocast(features.device.type, enabled=False):
            bounded = self.bound(features.to(torch.promote_types(features.dtype, self.reach.dtype)))
        rounded = bounded.detach().round()
        ids = ((rounded.long() + self.levels // 2) * self.strides).sum(-1)
        latents = bounded / self.reach
        # The added term is exactly 0, so that codes are what `lookup` gives, bit for bit.
        codes = rounded / self.reach + (latents - latents.detach())
        rate = latents.new_full((len(ids),), ids.shape[1] * math.log(math.prod(self.spec.levels)))
        return BottleneckOutput(codes, latents, ids, rate, latents.new_zeros(()))
