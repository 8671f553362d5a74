"""Updates of a codebook's entries beside or instead of the gradient: k-means start, moving averages, restarts.

Axes: f features of a batch, w feature width, v entries.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from crt_nn.ranks import gathered
from crt_vq.bottlenecks.nearest import nearest
from crt_vq.bottlenecks.specs import VQ
from crtcore.noise import Noise

ROUNDS = 10
"""Rounds of k-means; it only provides a start."""


def entry_means(
    features: Float[Tensor, "f w"], ids: Int[Tensor, " f"], entries: Float[Tensor, "v w"]
) -> tuple[Float[Tensor, "v w"], Float[Tensor, " v"]]:
    """Mean and number of each entry's features; the mean of none is the entry itself."""
    counts = entries.new_zeros(len(entries)).index_add_(0, ids, torch.ones_like(features[:, 0]))
    sums = entries.new_zeros(entries.shape).index_add_(0, ids, features)
    return torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], entries), counts


def k_means(features: Float[Tensor, "f w"], centres: Float[Tensor, "v w"]) -> Float[Tensor, "v w"]:
    """Centres after a few rounds, started at random features; with too few, the last ones stay."""
    order = Noise(0, "first centres").order(len(features))[: len(centres)].to(features.device)
    centres = torch.cat([features[order], centres[len(order) :]])
    for _ in range(ROUNDS):
        centres = entry_means(features, nearest(features, centres), centres)[0]
    return centres


class CodebookUpdates(nn.Module):
    """Starts entries by k-means, moves them to the mean of their features, and restarts unused ones."""

    idle: Tensor
    mass: Tensor
    steps: Tensor

    def __init__(self, spec: VQ) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("idle", torch.zeros(spec.codes, dtype=torch.int64))
        # The moving sum of features is mass times entry; storing it too would allow the two to disagree.
        self.register_buffer("mass", torch.zeros(spec.codes))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(
        self, entries: Float[Tensor, "v w"], features: Float[Tensor, "f w"], ids: Int[Tensor, " f"]
    ) -> Float[Tensor, "v w"]:
        """The entries after a step on `features`, whose nearest entries were `ids`.

        Every rank computes them of the features of all ranks, so that they are those of one process, and equal.
        """
        features, ids = gathered(features), gathered(ids)
        if self.spec.start == "k-means" and not self.steps:
            entries = k_means(features, entries)
            ids = nearest(features, entries)
        means, counts = entry_means(features, ids, entries)
        if self.spec.decay:
            entries = self._averaged(entries, means, counts)
        if self.spec.patience:
            entries = self._restarted(entries, features, counts)
        self.steps += 1
        return entries

    def _averaged(
        self, entries: Float[Tensor, "v w"], means: Float[Tensor, "v w"], counts: Float[Tensor, " v"]
    ) -> Float[Tensor, "v w"]:
        """Entries moved toward the mean of their features by an exponential moving average.

        Source: van den Oord et al. (2017), appendix A.1; an entry's first features replace its first values.
        """
        fresh = (1 - self.spec.decay) * counts
        self.mass.mul_(self.spec.decay).add_(fresh)
        share = torch.where(fresh > 0, fresh / self.mass, 0)
        return entries + share[:, None] * (means - entries)

    def _restarted(
        self, entries: Float[Tensor, "v w"], features: Float[Tensor, "f w"], counts: Float[Tensor, " v"]
    ) -> Float[Tensor, "v w"]:
        """Entries without a feature for `patience` steps are set to random features.

        Source: Dhariwal et al. (2020), arXiv:2005.00341, section 3.1, random restarts.
        """
        self.idle.add_(1).masked_fill_(counts > 0, 0)
        dead = (self.idle >= self.spec.patience).nonzero()[: len(features), 0]
        order = Noise(0, "revived entries").order(len(features), int(self.steps)).to(features.device)
        self.idle[dead] = 0
        self.mass[dead] = 0
        return entries.index_copy(0, dead, features[order[: len(dead)]])
