"""Finite scalar quantisation: each channel bounded, then rounded to its levels.

Axes: b batch, n features of a sample, w channels; a code is as wide as a feature.
Source: Mentzer et al. (2023), arXiv:2309.15505, section 3 and the listing in appendix A.1.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

from crt_basics.bottlenecks.specs import FSQ
from crt_nn.ranges import check_features, check_ids
from crtcore.kinds import BottleneckOutput
from crtcore.noise import Noise

_MARGIN = 1e-3  # appendix A.1, `eps`
_MOST = 0.25
"""Most of a step that the margin takes at an end: without it, a thousand levels have ends that nothing reaches."""


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
        steps = (self.levels - 1).to(features.dtype)
        half = (steps * (1 - _MARGIN) / 2).maximum(steps / 2 - _MOST)
        offset = (1 - self.levels % 2).to(features.dtype) / 2
        return torch.tanh(features + torch.tan(offset / half)) * half - offset

    def lookup(self, ids: Int[Tensor, "b n"]) -> Float[Tensor, "b n w"]:
        """The codes that `ids` name.

        Raises: ValueError if an id is absent or not under the vocabulary.
        """
        check_ids(ids, self.vocabulary)
        steps = ids.unsqueeze(-1) // self.strides % self.levels - self.levels // 2  # b n w
        return self._codes(steps)

    def _codes(self, steps: Shaped[Tensor, "b n w"]) -> Float[Tensor, "b n w"]:
        """Codes of whole steps from the middle level, in the type of the buffers, from at least float32."""
        dtype = torch.promote_types(self.reach.dtype, torch.float32)
        return (steps.to(dtype) / (self.levels // 2).to(dtype)).to(self.reach.dtype)

    def forward(self, features: Float[Tensor, "b n w"], *, noise: Noise | None = None) -> BottleneckOutput:
        """Rounded channels; the gradient passes straight through the rounding.

        Units: rate in nats, the logarithm of the vocabulary for each feature; no noise is used.
        Raises: ValueError if w is not the number of channels with levels, or a feature is not finite.
        """
        check_features(features, self.width)
        # Half precision merges neighbouring levels (many levels round alike): bound in float32 at least.
        dtype = torch.promote_types(features.dtype, self.reach.dtype)
        with torch.autocast(features.device.type, enabled=False):
            bounded = self.bound(features.to(torch.promote_types(dtype, torch.float32)))
        rounded = bounded.detach().round()
        ids = ((rounded.long() + self.levels // 2) * self.strides).sum(-1)
        latents = (bounded / (self.levels // 2)).to(dtype)
        # The added term is exactly 0, so that codes are what `lookup` gives, bit for bit.
        codes = self._codes(rounded).to(dtype) + (latents - latents.detach())
        rate = latents.new_full((len(ids),), ids.shape[1] * math.log(math.prod(self.spec.levels)))
        return BottleneckOutput(codes, latents, ids, rate, latents.new_zeros(()))
