"""Sets of small images, as evidence and as torch-fidelity takes them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import Dataset

from crtcore.kinds import Evidence


def images(seed: int, count: int, gain: float = 0.5) -> Tensor:
    """Smooth random images of 8 by 8 in one channel, from -1 to 1."""
    coarse = torch.randn(count, 1, 3, 3, generator=torch.Generator().manual_seed(seed))
    smooth: Tensor = torch.nn.functional.interpolate(coarse, 8, mode="bilinear", align_corners=True)
    return (gain * smooth).clamp(-1, 1)


def evidence(**changes: Tensor) -> Evidence:
    """Training, held-out, reconstructed and generated images, all of one distribution unless changed."""
    counts = {"train": 90, "real": 40, "reconstructed": 40, "generated": 40}
    parts = {name: images(seed, count) for seed, (name, count) in enumerate(counts.items())} | changes
    return Evidence(
        **parts,
        train_reconstructed=parts["train"],
        ids=torch.zeros(40, 1, dtype=torch.int64),
        id_nats=torch.zeros(40),
        vocabulary=2,
        levels=None,
    )


class Bytes(Dataset[Tensor]):
    """Bytes of images, one at a time."""

    def __init__(self, data: Tensor) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Tensor:
        return self.data[index]
