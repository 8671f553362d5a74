"""LPIPS: the distance between two images in the features of VGG16.

Axes: b batch, c image channels, y rows and x columns of an image.
Source: Zhang et al. (2018), arXiv:1801.03924, section 3 and eq. 1; github.com/richzhang/PerceptualSimilarity, v0.1.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from crt_vq.regularizers.vgg import STAGES
from crtcore.errors import RunError

MEAN, SPREAD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Mean and standard deviation of each colour of the network's training images, scaled to -1 to 1."""


class Distance(nn.Module):
    """The weighted squared distance of two images' features of length 1, summed over stages.

    Weights are buffers outside of checkpoints: they never change.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, weights: Mapping[str, Tensor], stages: int) -> None:
        super().__init__()
        for name, weight in weights.items():
            self.register_buffer(name, weight, persistent=False)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None], persistent=False)
        self.register_buffer("spread", torch.tensor(SPREAD)[:, None, None], persistent=False)
        self.stages = stages

    def features(self, images: Float[Tensor, "b c y x"]) -> list[Tensor]:
        """The features of each stage, scaled to length 1 at every position."""
        stream = (images.expand(-1, 3, -1, -1) - self.mean) / self.spread
        features = []
        for stage, channels in enumerate(STAGES[: self.stages]):
            stream = functional.max_pool2d(stream, 2) if stage else stream
            for layer in range(len(channels)):
                name = f"stage_{stage}_{layer}"
                stream = functional.conv2d(
                    stream, getattr(self, f"{name}_weight"), getattr(self, f"{name}_bias"), padding=1
                )
                stream = functional.relu(stream)
            # The gradient of the norm at 0 is 0; that of a root would be NaN.
            features.append(stream / (torch.linalg.vector_norm(stream, dim=1, keepdim=True) + 1e-10))
        return features

    def forward(self, images: Float[Tensor, "b c y x"], others: Float[Tensor, "b c y x"]) -> Float[Tensor, " b"]:
        """The distance of each image from its counterpart in `others`, which gets no gradient.

        Raises: RunError if an image has other than one channel or three, or is too small for the last stage.
        """
        least = 2 ** (self.stages - 1)
        if images.shape[1] not in (1, 3) or min(images.shape[2:]) < least:
            raise RunError(
                f"perceptual: expected images of 1 or 3 channels, at least {least} by {least} for {self.stages} "
                f"stages, got {tuple(images.shape[1:])}; use fewer `stages` for smaller images"
            )
        with torch.no_grad():
            targets = self.features(others)
        distances = [
            functional.conv2d((made - target).square(), getattr(self, f"head_{stage}")).mean((1, 2, 3))
            for stage, (made, target) in enumerate(zip(self.features(images), targets, strict=True))
        ]
        return torch.stack(distances).sum(0)
