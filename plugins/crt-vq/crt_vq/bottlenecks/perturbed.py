"""Perturbed codes: in training some are replaced by near ones, as in the errors of a prior.

Axes: b batch, n features of a sample, w feature width, d code width, v codes.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from crt_vq.bottlenecks.nearest import nearest_few
from crt_vq.bottlenecks.specs import Perturbed
from crtcore.kinds import BottleneckOutput
from crtcore.noise import Noise


class PerturbedBottleneck(nn.Module):
    """Another bottleneck, some of whose codes are replaced by near ones in training."""

    seed: Tensor
    steps: Tensor

    def __init__(self, spec: Perturbed) -> None:
        super().__init__()
        self.spec = spec
        self.bottleneck = spec.bottleneck.build()
        self.width = self.bottleneck.width
        self.vocabulary = self.bottleneck.vocabulary
        if self.vocabulary is None:
            raise ValueError("expected a bottleneck with ids, got one whose codes are continuous")
        if self.vocabulary < spec.neighbours:
            raise ValueError(f"expected at most {self.vocabulary} neighbours, one for each code, got {spec.neighbours}")
        with torch.no_grad():
            codes = self.bottleneck(torch.zeros(1, 1, self.width)).codes.shape[1]
        if codes != 1:
            raise ValueError(f"expected a bottleneck with one code for each feature, got {codes}")
        # Drawn last, so that the inner bottleneck has the first values that it would have alone.
        self.register_buffer("seed", torch.randint(2**62, ()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def lookup(self, ids: Int[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        """The codes that `ids` name."""
        return self.bottleneck.lookup(ids)

    def forward(self, features: Float[Tensor, "b n w"], noise: Noise | None = None) -> BottleneckOutput:
        """The inner bottleneck's codes, some swapped in training, with the gradient of the codes that they replace.

        Codes without a gradient are never swapped: `encode` returns the nearest codes in training too. Without `noise`,
        swaps depend on the seed drawn at construction and the number of backward passes.
        Units: as of the inner bottleneck; ids name the swapped codes, rate and loss do not change.
        Source: Qiu et al. (2025), arXiv:2503.08354, and the authors' code, github.com/lxa9867/ImageFolder, which takes
        the first samples of a batch; here each sample is chosen independently of the others.
        Cost: distances from the swapped codes to all v, in tiles; every code is looked up.
        """
        output = self.bottleneck(features, noise)
        if not (self.training and output.codes.requires_grad):
            return output
        assert output.ids is not None
        swapped, ranks = self.draw_swaps(output.ids, noise)
        # Half precision makes distant codes tie.
        with torch.autocast(features.device.type, enabled=False):
            near = nearest_few(output.latents[swapped], self._table(), self.spec.neighbours)
        chosen = near.gather(-1, ranks[swapped].unsqueeze(-1)).squeeze(-1)
        ids = output.ids.masked_scatter(swapped, chosen)
        nearest = output.codes.detach()
        values = torch.where(swapped.unsqueeze(-1), self.bottleneck.lookup(ids).detach(), nearest)
        # The added term is exactly 0, so that codes equal those of `lookup`.
        codes = values + (output.codes - nearest)
        if noise is None:
            codes.register_hook(self._step)  # type: ignore[no-untyped-call]
        return output._replace(codes=codes, ids=ids)

    def draw_swaps(
        self, ids: Int[Tensor, "b n"], noise: Noise | None
    ) -> tuple[Bool[Tensor, "b n"], Int[Tensor, "b n"]]:
        """Which codes are swapped, and the rank of the neighbour that replaces each."""
        samples = torch.arange(len(ids))
        if noise is None:
            seeds = Noise(self.seed, "swaps").seeds(samples, self.steps)  # b
        else:
            seeds = noise.seeds(0 if noise.seed.ndim else samples)
        stream = Noise(seeds.to(ids.device), "swapped codes")
        places = torch.arange(ids.shape[1]).unsqueeze(-1)  # n 1
        chosen = stream.uniforms(0, 0) < self.spec.share * 2**24
        swapped = stream.uniforms(places, 1) < self.spec.swapped * 2**24  # n b
        ranks = stream.bits(places, 2) * self.spec.neighbours >> 32
        return (chosen & swapped).mT, ranks.mT

    def _table(self) -> Float[Tensor, "v d"]:
        assert self.vocabulary is not None
        with torch.no_grad():
            return self.bottleneck.lookup(torch.arange(self.vocabulary, device=self.seed.device)[None])[0]

    def _step(self, _: Tensor) -> None:
        self.steps += 1
