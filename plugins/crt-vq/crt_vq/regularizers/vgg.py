"""VGG16's convolutions and LPIPS' heads: their shapes and the files of their weights.

Source: Simonyan and Zisserman (2014), arXiv:1409.1556, table 1, D; github.com/richzhang/PerceptualSimilarity, v0.1.
"""

from __future__ import annotations

import math
import os
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from crt_nn.tensor_files import fitting, read
from crtcore.errors import RunError

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of every convolution. Height and width are halved between stages; images are compared after each stage."""
BACKBONE, HEADS = "vgg16-397923af.pth", "vgg.pth"
SOURCES = {
    BACKBONE: "https://download.pytorch.org/models/vgg16-397923af.pth, or torchvision's cache of it",
    HEADS: "lpips/weights/v0.1/vgg.pth of github.com/richzhang/PerceptualSimilarity, or of the package lpips",
}
"""The files of weights, and where they come from."""
SEED = 0
"""Seed of the random network that replaces them."""


def shapes(stages: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights of the first `stages`, by our names."""
    sizes: dict[str, tuple[int, ...]] = {}
    inward = 3
    for stage, channels in enumerate(STAGES[:stages]):
        for layer, (before, width) in enumerate(pairwise((inward, *channels))):
            sizes[f"stage_{stage}_{layer}_weight"] = (width, before, 3, 3)
            sizes[f"stage_{stage}_{layer}_bias"] = (width,)
        inward = channels[-1]
        sizes[f"head_{stage}"] = (1, inward, 1, 1)
    return sizes


def random_weights(stages: int) -> dict[str, Tensor]:
    """Weights under which a signal keeps its size, the same in every run; heads weigh all channels by 1."""
    generator = torch.Generator().manual_seed(SEED)
    weights = {}
    for name, shape in shapes(stages).items():
        if name.endswith("_weight"):
            weights[name] = torch.randn(shape, generator=generator) * math.sqrt(2 / math.prod(shape[1:]))
        else:
            weights[name] = torch.zeros(shape) if name.endswith("_bias") else torch.ones(shape)
    return weights


def learned_weights(folder: Path, stages: int) -> dict[str, Tensor]:
    """The weights of VGG16 and of LPIPS' linear heads, read from the files in `folder`.

    Raises: RunError if a file is missing or has other contents.
    """
    missing = [name for name in SOURCES if not os.path.lexists(folder / name)]
    if missing:
        origins = "; ".join(f"{name} is {SOURCES[name]}" for name in missing)
        raise RunError(
            f"perceptual: {folder}: expected {' and '.join(SOURCES)}, got no {' and no '.join(missing)}; {origins}"
        )
    weights: dict[str, Tensor] = {}
    whole = shapes(len(STAGES))
    for file, names in _public().items():
        tensors = read(folder / file, "perceptual")
        used = {name: value for name, value in tensors.items() if not name.startswith("classifier.")}
        expected = {theirs: torch.empty(whole[ours], device="meta") for theirs, ours in names.items()}
        used = fitting(folder / file, "perceptual", used, expected, f"use {SOURCES[file]}")
        weights |= {ours: used[theirs] for theirs, ours in names.items()}
    return {name: weights[name] for name in shapes(stages)}


def _public() -> dict[str, dict[str, str]]:
    """File to its names of weights to ours; torchvision counts activations and poolings as layers too."""
    backbone: dict[str, str] = {}
    place = 0
    for stage, channels in enumerate(STAGES):
        for layer in range(len(channels)):
            backbone |= {f"features.{place}.{leaf}": f"stage_{stage}_{layer}_{leaf}" for leaf in ("weight", "bias")}
            place += 2
        place += 1
    heads = {f"lin{stage}.model.1.weight": f"head_{stage}" for stage in range(len(STAGES))}
    return {BACKBONE: backbone, HEADS: heads}
