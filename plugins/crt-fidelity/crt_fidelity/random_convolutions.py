"""Features of a small untrained network, for trials on small machines.

Axes: b batch, h rows, w columns, d features.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional
from torch_fidelity import FeatureExtractorBase

from crtcore.noise import Noise

NAME = "random-convolutions"
LAYER = "64"
"""The only layer, named after its width like those of Inception."""
CHANNELS = 3, 16, 32, 16
STRIDES = 1, 2, 2
GRID = 2
"""Cells along each side of the grid of means."""


class RandomConvolutions(FeatureExtractorBase):  # type: ignore[misc]
    """Three convolutions with fixed random kernels and ReLU, averaged over a grid of 2 by 2: 64 features.

    It is an extractor for torch-fidelity and can be registered there. Kernels and arithmetic in float64 are the same
    everywhere. It has learned nothing about images: it is no Inception, and none of its numbers is an FID.
    """

    def __init__(self, name: str, features_list: list[str], **_: Any) -> None:
        super().__init__(name, features_list)
        for index, (into, out) in enumerate(itertools.pairwise(CHANNELS)):
            self.register_buffer(f"kernel{index}", _kernel(index, out, into))

    def forward(self, images: UInt8[Tensor, "b 3 h w"]) -> tuple[Float[Tensor, "b d"]]:
        """Returns the features of `images`, which are bytes."""
        flow = images.double() / 127.5 - 1
        for index, stride in enumerate(STRIDES):
            kernel = self.get_buffer(f"kernel{index}")
            flow = functional.conv2d(flow, kernel, stride=stride, padding=1).relu()
        return (functional.adaptive_avg_pool2d(flow, GRID).flatten(1),)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """Returns the only layer."""
        return (LAYER,)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        """Returns the only layer.

        Raises: ValueError for the Inception score, as there are no classes.
        """
        if metric == "isc":
            raise ValueError(f"expected an extractor with classes for 'isc', got {NAME!r}")
        return LAYER

    @staticmethod
    def can_be_compiled() -> bool:
        """Returns False, as compilation would gain nothing."""
        return False

    @staticmethod
    def get_dummy_input_for_compile() -> UInt8[Tensor, "b 3 h w"]:
        """Returns one black image."""
        return torch.zeros(1, 3, 8, 8, dtype=torch.uint8)


def _kernel(index: int, out: int, into: int) -> Float[Tensor, "out into 3 3"]:
    """Draws a uniform kernel that keeps the scale of activations behind ReLU.

    Source: He et al. (2015), arXiv:1502.01852, eq. 10.
    """
    bits = Noise(0, NAME).bits(torch.arange(out * into * 9), index)
    return ((bits.double() + 0.5) / 2**31 - 1).view(out, into, 3, 3) * math.sqrt(6 / (into * 9))
