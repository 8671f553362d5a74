"""Perturbed codes: in training some are replaced by near ones, as in the errors of a prior.

Axes: b batch, n features of a sample, w feature width, d code width, v codes.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from crt_vq.bottlenecks.nearest import nearest, nearest_few
from crt_vq.bottlenecks.specs import Perturbed
from crtcore.kinds import BottleneckOutput, DiscreteBottleneck, Encoded, KeepsStatistics
from crtcore.noise import Noise


class PerturbedBottleneck(nn.Module):
    """Another bottleneck, some of whose codes are replaced by near ones in training."""

    def __init__(self, spec: Perturbed) -> None:
        super().__init__()
        self.spec = spec
        bottleneck = spec.bottleneck.build()
        if not isinstance(bottleneck, DiscreteBottleneck) or bottleneck.vocabulary is None:
            raise ValueError("expected a bottleneck with ids, got one whose codes are continuous")
        self.bottleneck = bottleneck
        self.width = self.bottleneck.width
        self.vocabulary = self.bottleneck.vocabulary
        if self.vocabulary < spec.neighbours:
            raise ValueError(f"expected at most {self.vocabulary} neighbours, one for each code, got {spec.neighbours}")
        with torch.no_grad():
            codes = self.bottleneck(torch.zeros(1, 1, self.width)).codes.shape[1]
        if codes != 1:
            raise ValueError(f"expected a bottleneck with one code for each feature, got {codes}")

    def lookup(self, ids: Int[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        """The codes that `ids` name."""
        return self.bottleneck.lookup(ids)

    def forward(self, features: Float[Tensor, "b n w"], *, noise: Noise | None = None) -> BottleneckOutput:
        """The inner bottleneck's codes, some swapped in training, with the gradient of the codes that they replace.

        Without `noise`, none is swapped, in training too. With it, a sample's swaps depend on its own seed alone.
        Units: as of the inner bottleneck; ids name the swapped codes, rate and loss do not change.
        Source: Qiu et al. (2025), arXiv:2503.08354, and the authors' code, github.com/lxa9867/ImageFolder, which takes
        the first samples of a batch; here each sample is chosen independently of the others.
        Cost: distances from the swapped codes to all v, in tiles; every code is looked up.
        """
        output = self.bottleneck(features, noise=None if noise is None else noise.under("inner"))
        if not self.training or noise is None:
            return output
        assert output.ids is not None
        swapped, ranks = self.draw_swaps(output.ids, noise)
        # Half precision makes distant codes tie.
        with torch.autocast(features.device.type, enabled=False):
            near = nearest_few(output.latents[swapped], self._table(features.device), self.spec.neighbours)
        chosen = near.gather(-1, ranks[swapped].unsqueeze(-1)).squeeze(-1)
        ids = output.ids.masked_scatter(swapped, chosen)
        before = output.codes.detach()
        values = torch.where(swapped.unsqueeze(-1), self.bottleneck.lookup(ids).detach(), before)
        # The added term is exactly 0, so that codes equal those of `lookup`.
        return output._replace(codes=values + (output.codes - before), ids=ids)

    def after_step(self, encoded: Encoded) -> None:
        """The statistics of the inner bottleneck, if it keeps any, by the codes before the swap."""
        if isinstance(self.bottleneck, KeepsStatistics):
            with torch.autocast(encoded.latents.device.type, enabled=False):
                ids = nearest(encoded.latents, self._table(encoded.latents.device))
            self.bottleneck.after_step(encoded._replace(ids=ids))

    def draw_swaps(self, ids: Int[Tensor, "b n"], noise: Noise) -> tuple[Bool[Tensor, "b n"], Int[Tensor, "b n"]]:
        """Which codes are swapped, and the rank of the neighbour that replaces each."""
        stream = noise.under("swaps")
        places = torch.arange(ids.shape[1], device=ids.device).unsqueeze(-1)  # n 1
        chosen = stream.uniforms(0, 0) < self.spec.share * 2**24
        swapped = stream.uniforms(places, 1) < self.spec.swapped * 2**24  # n b
        ranks = stream.bits(places, 2) * self.spec.neighbours >> 32
        return (chosen & swapped).mT, ranks.mT

    def _table(self, device: torch.device) -> Float[Tensor, "v d"]:
        with torch.no_grad():
            return self.bottleneck.lookup(torch.arange(self.vocabulary, device=device)[None])[0]
