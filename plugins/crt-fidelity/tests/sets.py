"""Sets of small images, as evidence and as torch-fidelity takes them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import Dataset

from crt_laws import Samples


def images(seed: int, count: int, gain: float = 0.5) -> Tensor:
    """Smooth random images of 8 by 8 in one channel, from -1 to 1."""
    coarse = torch.randn(count, 1, 3, 3, generator=torch.Generator().manual_seed(seed))
    smooth: Tensor = torch.nn.functional.interpolate(coarse, 8, mode="bilinear", align_corners=True)
    return (gain * smooth).clamp(-1, 1)


def evidence(**changes: Tensor) -> Samples:
    """Training, held-out, reconstructed and generated images, all of one distribution unless changed.

    Held-out images and reconstructions are as many as generated ones.
    """
    held_out = len(changes.get("generated", range(40)))
    counts = {"train": 90, "real": held_out, "reconstructed": held_out, "generated": held_out}
    parts = {name: images(seed, count) for seed, (name, count) in enumerate(counts.items())} | changes
    return Samples(
        **parts,
        train_reconstructed=parts["train"],
        ids=torch.zeros(held_out, 1, dtype=torch.int64),
        id_nats=torch.zeros(held_out),
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
