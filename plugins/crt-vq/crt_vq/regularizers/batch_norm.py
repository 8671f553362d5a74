"""Batch norm over the rows of all ranks; torch's own for that needs CUDA.

Axes: b batch, c channels, y rows and x columns of an image.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from crt_nn.ranks import batch_mean, split


class BatchNorm(nn.BatchNorm2d):
    """torch's BatchNorm2d, by the mean and the variance of the whole batch.

    Where that is cut into shares, the running statistics do not follow.
    """

    def forward(self, input: Float[Tensor, "b c y x"]) -> Float[Tensor, "b c y x"]:  # noqa: A002
        """Scaled and shifted to the learned mean and spread of each channel."""
        if not self.training or not split():
            return super().forward(input)
        shape = (1, -1, 1, 1)
        mean = batch_mean(input.transpose(0, 1).flatten(1).mT)
        centred = input - mean.view(shape)
        variance = batch_mean(centred.square().transpose(0, 1).flatten(1).mT)
        scaled = centred * torch.rsqrt(variance + self.eps).view(shape)
        return scaled * self.weight.view(shape) + self.bias.view(shape)
