"""Soft read-out: a generator guides the tokenizer by an alignment loss that reads soft ids.

Axes: b batch, n cells of an image in raster order, v codes, w width of the generator, p numbers of a cell's target.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from crt_nn.ranks import whole_norm
from crt_vq.regularizers.assignment import CodeTable, hard_assignment, soft_assignment
from crt_vq.regularizers.batch_metrics import batch_metrics
from crt_vq.regularizers.generator import Generator, next_id_loss
from crt_vq.regularizers.joint_specs import SoftReadout
from crt_vq.regularizers.next_latent import mean_present
from crt_vq.regularizers.split_gradients import attach_gradients
from crtcore.errors import RunError
from crtcore.kinds import Encoded, RegularizerOutput, Tokenizer


class SoftReadoutRegularizer(nn.Module):
    """Trains a generator on hard ids, and moves the tokenizer by the generator's alignment with each cell."""

    def __init__(self, spec: SoftReadout, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.spec = spec
        self.table = CodeTable(tokenizer, "soft-readout")
        self.cell = cell_of(tokenizer)
        self.generator = Generator(spec, self.table.vocabulary, tokenizer.length)
        # Three layers, as REPA's and GEAR's projectors; theirs are 2,048 wide.
        wide, pixels = 2 * spec.width, math.prod(self.cell)
        self.project = nn.Sequential(
            nn.Linear(spec.width, wide), nn.SiLU(), nn.Linear(wide, wide), nn.SiLU(), nn.Linear(wide, pixels)
        )

    def targets(self, data: Float[Tensor, "b c y x"]) -> Float[Tensor, "b n p"]:
        """The pixels of each cell."""
        return functional.unfold(data, self.cell[1:], stride=self.cell[1:]).mT

    def alignment(
        self, hidden: Float[Tensor, "b n w"], targets: Float[Tensor, "b n p"], mask: Bool[Tensor, "b n"]
    ) -> Float[Tensor, ""]:
        """Minus the mean cosine between targets and the projection of what was computed before each.

        Source: arXiv:2606.32039, the alignment loss.
        """
        return mean_present(-functional.cosine_similarity(self.project(hidden), targets, dim=-1), mask)

    def forward(self, data: Tensor, encoded: Encoded, progress: float) -> RegularizerOutput:
        """The alignment of soft ids for the tokenizer, the next-id loss and that of hard ids for the generator.

        Raises: ValueError if there are no ids.
        Source: arXiv:2606.32039: the two disjoint updates, here of one step.
        Cost: b n v numbers for each assignment, soft and hard.
        """
        if encoded.ids is None:
            raise ValueError("expected ids, got codes that are continuous")
        targets, mask, table = self.targets(data), encoded.mask, self.table(encoded.latents.device)
        with torch.enable_grad():
            latents, codes = encoded.latents.detach().requires_grad_(), table.detach().requires_grad_()
            soft = soft_assignment(latents, codes, self.spec.temperature)
            guide = self.alignment(self.generator.hidden(soft), targets, mask)
            gradients = torch.autograd.grad(guide, [latents, codes])
        loss = attach_gradients(guide.detach(), [encoded.latents, table], gradients)
        hard = hard_assignment(encoded.ids, soft.detach())
        hidden = self.generator.hidden(hard)
        nats = next_id_loss(self.generator.logits(hidden), hard, mask)
        own = nats + self.spec.own_weight * self.alignment(hidden, targets, mask)
        factor = self.spec.rise(progress)
        metrics = {
            "alignment": -guide.item(),
            "cross_entropy": nats.item(),
            "latent_gradient_norm": factor * whole_norm(gradients[0]).item(),
            **batch_metrics(encoded),
        }
        return RegularizerOutput(loss=factor * loss, own_loss=own, metrics=metrics)


def cell_of(tokenizer: Tokenizer) -> tuple[int, int, int]:
    """Channels, rows and columns of the part of an image that an id stands for.

    Raises: RunError if the tokenizer does not decode to images, or its ids are no grid over them.
    """
    device = next(iter(cast("nn.Module", tokenizer).parameters())).device
    ids = torch.zeros(1, tokenizer.length, dtype=torch.int64, device=device)
    with torch.no_grad():
        shape = tuple(tokenizer.decode(ids).shape[1:])
    if len(shape) == 3:
        channels, rows, columns = shape
        down = math.isqrt(tokenizer.length * rows // columns)
        across = tokenizer.length // down if down else 0
        if down * across == tokenizer.length and not rows % down and not columns % across:
            return channels, rows // down, columns // across
    raise RunError(
        f"soft-readout: expected a tokenizer with an id for each cell of a grid over an image, got {tokenizer.length} "
        f"ids for data of shape {shape}"
    )
