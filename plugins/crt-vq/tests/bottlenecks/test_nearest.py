"""The nearest code: exact, and never with all distances in memory at once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode

from crt_vq import VQ
from crt_vq.bottlenecks import nearest


class Largest(TorchDispatchMode):
    """Records the size of the largest tensor made, and the memory of every one of a tile or more."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0
        self.memory: list[Any] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in _pytree.tree_leaves(made) if isinstance(leaf, Tensor)]
        self.elements = max(self.elements, *(tensor.numel() for tensor in tensors), 0)
        self.memory += [tensor.untyped_storage() for tensor in tensors if tensor.numel() >= nearest.TILE]
        return made


def test_a_training_step_on_many_vectors_never_holds_all_distances() -> None:
    codebook = VQ(codes=16_384, width=8).build()
    features = torch.randn(64, 256, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)

    with Largest() as largest:
        codebook(features).loss.backward()

    assert largest.elements == nearest.TILE  # 2**18, where all distances are 2**28


def test_all_tiles_share_one_buffer() -> None:
    generator = torch.Generator().manual_seed(0)
    features, codes = torch.randn(256, 4, generator=generator), torch.randn(16_384, 4, generator=generator)

    with Largest() as largest:
        nearest.nearest(features, codes)

    assert len(largest.memory) > 16  # a tile is 16 features
    assert len({memory.data_ptr() for memory in largest.memory}) == 1


@pytest.mark.parametrize("tile", [1, 7, 64, 2**22])
def test_tiles_of_any_size_give_the_same_codes(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, 5, 4, generator=generator, dtype=torch.float64)
    codes = torch.randn(7, 4, generator=generator, dtype=torch.float64)
    monkeypatch.setattr(nearest, "TILE", tile)

    ids = nearest.nearest(features, codes)

    assert torch.equal(ids, torch.cdist(features, codes[None]).argmin(-1))


@pytest.mark.parametrize("length", [1, 2047, 2048, 2049, 3000, 4095])
def test_the_least_number_of_a_row_is_the_first_of_equals(length: int) -> None:
    numbers = torch.randint(40, (3, 2, length), generator=torch.Generator().manual_seed(length)).float()
    numbers[0, 0, length // 2 :] = torch.nan

    places = nearest.least(numbers)

    assert torch.equal(places, numbers.min(-1).indices)


def test_the_least_number_can_be_the_last() -> None:
    assert nearest.least(torch.arange(3000.0, 0, -1)).item() == 2999


@pytest.mark.parametrize("tile", [1, 7, 64, 2**22])
def test_tiles_of_any_size_give_the_same_few_codes(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, 5, 4, generator=generator, dtype=torch.float64)
    codes = torch.randn(7, 4, generator=generator, dtype=torch.float64)
    monkeypatch.setattr(nearest, "TILE", tile)

    ids = nearest.nearest_few(features, codes, 3)

    assert torch.equal(ids, torch.cdist(features, codes[None]).argsort(-1)[..., :3])


def test_without_features_there_are_no_nearest_codes() -> None:
    assert nearest.nearest_few(torch.zeros(0, 4), torch.zeros(7, 4), 3).shape == (0, 3)
