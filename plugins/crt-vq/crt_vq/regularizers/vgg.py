"""VGG16's convolutions and LPIPS' heads: their shapes, and where their weights come from.

Source: Simonyan and Zisserman (2014), arXiv:1409.1556, table 1, D; github.com/richzhang/PerceptualSimilarity, v0.1.
"""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from crt_vq.tensor_files import matched, read
from crtcore.errors import RunError

STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Channels of every convolution; between stages height and width are halved, and after each stage images compared."""
BACKBONE, HEADS = "vgg16-397923af.pth", "vgg.pth"
FOUND = {
    BACKBONE: "https://download.pytorch.org/models/vgg16-397923af.pth, or torchvision's cache of it",
    HEADS: "lpips/weights/v0.1/vgg.pth of github.com/richzhang/PerceptualSimilarity, or of the package lpips",
}
"""The files of weights, and where they come from."""
SEED = 0
"""Of the random network that stands in for them."""


def shapes(stages: int) -> dict[str, tuple[int, ...]]:
    """The weights of so many stages, by our names."""
    found: dict[str, tuple[int, ...]] = {}
    inward = 3
    for stage, channels in enumerate(STAGES[:stages]):
        for layer, (before, width) in enumerate(pairwise((inward, *channels))):
            found[f"stage_{stage}_{layer}_weight"] = (width, before, 3, 3)
            found[f"stage_{stage}_{layer}_bias"] = (width,)
        inward = channels[-1]
        found[f"head_{stage}"] = (1, inward, 1, 1)
    return found


def random_weights(stages: int) -> dict[str, Tensor]:
    """Weights under which a signal keeps its size, the same in every run; heads take each channel as it is."""
    generator = torch.Generator().manual_seed(SEED)
    weights = {}
    for name, shape in shapes(stages).items():
        if name.endswith("_weight"):
            weights[name] = torch.randn(shape, generator=generator) * math.sqrt(2 / math.prod(shape[1:]))
        else:
            weights[name] = torch.zeros(shape) if name.endswith("_bias") else torch.ones(shape)
    return weights


def learned_weights(folder: Path, stages: int) -> dict[str, Tensor]:
    """The weights of VGG16 and of LPIPS' linear heads, from the files in `folder`.

    Raises: RunError if a file is not there, or holds something else.
    """
    missing = [name for name in FOUND if not (folder / name).is_file()]
    if missing:
        sources = "; ".join(f"{name} is {FOUND[name]}" for name in missing)
        raise RunError(
            f"perceptual: {folder}: expected {' and '.join(FOUND)}, got no {' and no '.join(missing)}; {sources}"
        )
    weights: dict[str, Tensor] = {}
    whole = shapes(len(STAGES))
    for file, called in _public().items():
        try:
            found = {name: value for name, value in read(folder / file).items() if not name.startswith("classifier.")}
            matched(
                folder / file, found, {theirs: whole[ours] for theirs, ours in called.items()}, f"take {FOUND[file]}"
            )
        except ValueError as error:
            raise RunError(f"perceptual: {error}") from error
        weights |= {ours: found[theirs] for theirs, ours in called.items()}
    return {name: weights[name] for name in shapes(stages)}


def _public() -> dict[str, dict[str, str]]:
    """File to its names for weights to ours; torchvision counts activations and halvings as layers too."""
    backbone: dict[str, str] = {}
    place = 0
    for stage, channels in enumerate(STAGES):
        for layer in range(len(channels)):
            backbone |= {f"features.{place}.{leaf}": f"stage_{stage}_{layer}_{leaf}" for leaf in ("weight", "bias")}
            place += 2
        place += 1
    heads = {f"lin{stage}.model.1.weight": f"head_{stage}" for stage in range(len(STAGES))}
    return {BACKBONE: backbone, HEADS: heads}
