"""What laws of several kinds ask of a pass: the mode of training, and buffers that stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from crt_laws.checks import same
from crt_laws.kit import Checks
from crtcore.noise import Noise


def sample_noise(seed: int, samples: int) -> Noise:
    """Noise with a seed for each sample."""
    return Noise(Noise(seed, "samples").seeds(torch.arange(samples)), "noise of a pass")


@contextmanager
def in_training(part: object) -> Iterator[None]:
    """Puts a module into the mode of training, and restores its mode afterwards."""
    if not isinstance(part, nn.Module):
        yield
        return
    before = part.training
    part.train()
    yield
    part.train(before)


def buffers(part: object) -> dict[str, Tensor]:
    """Copies of a module's buffers; none for another object."""
    return {name: each.clone() for name, each in part.named_buffers()} if isinstance(part, nn.Module) else {}


def unchanged(part: object, before: dict[str, Tensor], through: Tensor) -> Checks:
    """Checks that buffers are the same bit for bit, once `through` is propagated back if it has a gradient."""
    if through.requires_grad:
        through.backward()  # type: ignore[no-untyped-call]
    after = buffers(part)
    yield same(torch.tensor(len(after)), torch.tensor(len(before)), "numbers of buffers after and before a pass")
    for name, each in before.items():
        yield same(after[name], each, f"{name} after and before a pass")
