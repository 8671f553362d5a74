"""The codebook: features to their nearest entries.

Axes: b batch, n features of a sample, w feature width, v entries; a code is as wide as a feature.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from crt_vq.bottlenecks.codebook_loss import pull
from crt_vq.bottlenecks.codebook_updates import Upkeep
from crt_vq.bottlenecks.nearest import nearest
from crt_vq.bottlenecks.rotation import rotated
from crt_vq.bottlenecks.specs import VQ
from crtcore.kinds import BottleneckOutput
from crtcore.noise import Noise


def first_entries(spec: VQ) -> Float[Tensor, "v w"]:
    """Entries as they start, before any feature is seen."""
    if spec.start == "uniform":
        return torch.rand(spec.codes, spec.width) * (2 / spec.codes) - 1 / spec.codes
    # Normal, so that directions are uniform on the sphere and none starts out of reach; small, so that one
    # optimiser step turns an entry far enough to follow its features.
    return torch.randn(spec.codes, spec.width) / 10


class Codebook(nn.Module):
    """Replaces each feature by its nearest code."""

    def __init__(self, spec: VQ) -> None:
        super().__init__()
        self.spec = spec
        self.width = spec.width
        self.vocabulary: int | None = spec.codes
        self.entries = nn.Parameter(first_entries(spec), requires_grad=not spec.decay)
        self.upkeep = Upkeep(spec) if spec.decay or spec.patience or spec.start == "k-means" else None

    def compared(self, vectors: Float[Tensor, "... w"]) -> Float[Tensor, "... w"]:
        """Vectors as they are compared: scaled to length 1, or as they are."""
        return functional.normalize(vectors, dim=-1) if self.spec.compare == "cosine" else vectors

    def lookup(self, ids: Int[Tensor, "b n"]) -> Float[Tensor, "b n w"]:
        """The codes that `ids` name.

        Raises: IndexError if an id is absent or not under the number of codes.
        """
        # Upkeep writes the entries while the backward pass still has to read them: give it a copy.
        entries = self.entries.clone() if self.upkeep else self.entries
        return functional.embedding(ids, self.compared(entries))

    def nearest(self, features: Float[Tensor, "b n w"]) -> Int[Tensor, "b n"]:
        """The ids of the nearest codes, the smaller one of two as near."""
        return nearest(features, self.compared(self.entries.detach()))

    def forward(self, features: Float[Tensor, "b n w"], noise: Noise | None = None) -> BottleneckOutput:
        """Nearest codes; the gradient passes straight through, or turned onto the code.

        Entries that are averaged, revived or started by k-means change when the loss is propagated back in training,
        and at no other time: a call by itself changes nothing.
        Units: rate in nats, ln v for each feature; no noise is used.
        Raises: ValueError if w is not the width of a code.
        """
        if features.shape[-1] != self.width:
            raise ValueError(f"expected features of width {self.width}, got {features.shape[-1]}")
        # Half precision makes far entries tie: quantise in the entries' own.
        with torch.autocast(features.device.type, enabled=False):
            compared = self.compared(features.to(torch.promote_types(features.dtype, self.entries.dtype)))
            ids = self.nearest(compared)
            codes = self.lookup(ids)
            loss = pull(compared, codes, self.spec.commitment)
            through = rotated(compared, codes) if self.spec.gradient == "rotation" else compared
        if self.upkeep and self.training and loss.requires_grad:
            met, named = compared.detach().flatten(0, 1), ids.flatten()
            loss.register_hook(lambda _: self._keep_up(met, named))  # type: ignore[no-untyped-call]
        rate = compared.new_full((len(ids),), ids.shape[1] * math.log(self.spec.codes))
        # The added term is exactly 0, so that codes are the entries bit for bit.
        return BottleneckOutput(codes.detach() + (through - through.detach()), compared, ids, rate, loss)

    def _keep_up(self, met: Float[Tensor, "f w"], named: Int[Tensor, " f"]) -> None:
        assert self.upkeep
        self.entries.data.copy_(self.upkeep(self.entries.detach(), met, named))
