"""Perturbed codes: in training, some are swapped for near ones, as a prior will one day mistake them.

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


class NearbySwaps(nn.Module):
    """Lets the codes of another bottleneck through, and in training swaps some of them for near ones."""

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
        # Drawn last, so that the bottleneck starts as it would by itself.
        self.register_buffer("seed", torch.randint(2**62, ()))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def lookup(self, ids: Int[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        """The codes that `ids` name."""
        return self.bottleneck.lookup(ids)

    def forward(self, features: Float[Tensor, "b n w"], noise: Noise | None = None) -> BottleneckOutput:
        """The other bottleneck's codes, some of them swapped in training, with the gradient of those they replace.

        A code that carries no gradient is never swapped: `encode` names the nearest codes in training too. Without
        `noise`, swaps follow from the seed drawn at the start and the number of times that codes were propagated back.
        Units: as of the other bottleneck; ids name the swapped codes, rate and loss are not changed.
        Source: Qiu et al. (2025), arXiv:2503.08354, and the authors' code, github.com/lxa9867/ImageFolder, whose batch
        share is its first samples; here each sample has a coin, so that its neighbours do not matter.
        Cost: distances from the codes that are swapped to all v, in tiles; every code is looked up.
        """
        squeezed = self.bottleneck(features, noise)
        if not (self.training and squeezed.codes.requires_grad):
            return squeezed
        assert squeezed.ids is not None
        swapped, ranks = self.draws(squeezed.ids, noise)
        # Half precision makes far codes tie.
        with torch.autocast(features.device.type, enabled=False):
            near = nearest_few(squeezed.latents[swapped], self._table(), self.spec.neighbours)
        chosen = near.gather(-1, ranks[swapped].unsqueeze(-1)).squeeze(-1)
        ids = squeezed.ids.masked_scatter(swapped, chosen)
        met = squeezed.codes.detach()
        values = torch.where(swapped.unsqueeze(-1), self.bottleneck.lookup(ids).detach(), met)
        # The added term is exactly 0, so that codes are what `lookup` gives.
        codes = values + (squeezed.codes - met)
        if noise is None:
            codes.register_hook(self._step)  # type: ignore[no-untyped-call]
        return squeezed._replace(codes=codes, ids=ids)

    def draws(self, ids: Int[Tensor, "b n"], noise: Noise | None) -> tuple[Bool[Tensor, "b n"], Int[Tensor, "b n"]]:
        """Which codes are swapped, and the rank of the neighbour that each would be swapped for."""
        samples = torch.arange(len(ids))
        if noise is None:
            seeds = Noise(self.seed, "swaps").seeds(samples, self.steps)  # b
        else:
            seeds = noise.seeds(0 if noise.seed.ndim else samples)
        coins = Noise(seeds.to(ids.device), "swapped codes")
        places = torch.arange(ids.shape[1]).unsqueeze(-1)  # n 1
        sample = coins.uniforms(0, 0) < self.spec.share * 2**24
        place = coins.uniforms(places, 1) < self.spec.swapped * 2**24  # n b
        ranks = coins.bits(places, 2) * self.spec.neighbours >> 32
        return (sample & place).mT, ranks.mT

    def _table(self) -> Float[Tensor, "v d"]:
        assert self.vocabulary is not None
        with torch.no_grad():
            return self.bottleneck.lookup(torch.arange(self.vocabulary, device=self.seed.device)[None])[0]

    def _step(self, _: Tensor) -> None:
        self.steps += 1
