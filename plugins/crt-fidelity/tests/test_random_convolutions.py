"""The small extractor: fixed features, independent of other images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from crt_fidelity.random_convolutions import LAYER, NAME, RandomConvolutions

KERNEL = [-0.4295832754534028, 0.12952298153054922]
"""The first entries, kept to notice changes of the extractor."""


def images(seed: int, count: int = 6, size: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, 3, size, size), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("size", [1, 8, 33])
def test_images_of_any_size_have_64_features(size: int) -> None:
    (features,) = RandomConvolutions(NAME, [LAYER])(images(0, size=size))

    assert features.shape == (6, 64)
    assert features.dtype == torch.float64


def test_its_kernels_do_not_depend_on_torchs_generator() -> None:
    torch.manual_seed(1)
    one = RandomConvolutions(NAME, [LAYER])
    torch.manual_seed(2)
    other = RandomConvolutions(NAME, [LAYER])

    assert torch.equal(one.kernel2, other.kernel2)
    assert one.kernel0.flatten()[:2].tolist() == pytest.approx(KERNEL, abs=1e-15)


def test_features_of_an_image_do_not_depend_on_its_neighbours() -> None:
    network, some = RandomConvolutions(NAME, [LAYER]), images(0)

    (features,) = network(some)

    alone = torch.cat([network(image[None])[0] for image in some])
    torch.testing.assert_close(features, alone, rtol=1e-12, atol=1e-12)


def test_features_are_those_of_the_definition() -> None:
    network, some = RandomConvolutions(NAME, [LAYER]), images(0)

    (features,) = network(some)

    flow = some.double() / 127.5 - 1
    for kernel, stride in ((network.kernel0, 1), (network.kernel1, 2), (network.kernel2, 2)):
        patches = functional.unfold(flow, 3, padding=1, stride=stride)  # b x n
        side = int(patches.shape[-1] ** 0.5)
        flow = (kernel.flatten(1) @ patches).clamp(min=0).unflatten(-1, (side, side))
    torch.testing.assert_close(features, flow.flatten(1), rtol=1e-12, atol=1e-12)  # 8 pixels leave 2 by 2 cells


def test_it_has_no_classes() -> None:
    with pytest.raises(ValueError, match="expected an extractor with classes for 'isc'"):
        RandomConvolutions.get_default_feature_layer_for_metric("isc")
