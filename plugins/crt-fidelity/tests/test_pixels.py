"""Bytes of images: every level of them, grey and colour."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crt_fidelity.pixels import eight_bit


@settings(deadline=None)
@given(st.integers(2, 256))
def test_each_level_is_the_nearest_byte(levels: int) -> None:
    images = torch.linspace(-1, 1, levels).view(levels, 1, 1, 1).expand(-1, 3, -1, -1)

    images_as_bytes = eight_bit(images, "any")

    exact = torch.arange(levels).double() * 255 / (levels - 1)
    assert (images_as_bytes[:, 0, 0, 0].double() - exact).abs().max() <= 0.5 + 1e-4  # float32 puts levels a little off


def test_the_bytes_of_256_levels_are_the_levels() -> None:
    levels = torch.arange(256)

    images_as_bytes = eight_bit((levels / 127.5 - 1).view(256, 1, 1, 1), "any")

    assert torch.equal(images_as_bytes[:, 2, 0, 0].long(), levels)


def test_values_beyond_the_range_are_clamped() -> None:
    images_as_bytes = eight_bit(torch.tensor([-9.0, 9.0]).view(2, 1, 1, 1), "any")

    assert images_as_bytes[:, 0, 0, 0].tolist() == [0, 255]


def test_a_grey_image_has_three_equal_channels() -> None:
    images_as_bytes = eight_bit(torch.rand(2, 1, 4, 5), "any")

    assert images_as_bytes.shape == (2, 3, 4, 5)
    assert torch.equal(images_as_bytes[:, 0], images_as_bytes[:, 1])
    assert torch.equal(images_as_bytes[:, 0], images_as_bytes[:, 2])


@pytest.mark.parametrize("shape", [(2, 4, 8, 8), (2, 16)], ids=["four channels", "no images"])
def test_images_of_other_channels_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="fidelity: expected images of 1 or 3 channels for generation, got shape"):
        eight_bit(torch.zeros(shape), "generation")


def test_images_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="fidelity: expected finite images for generation"):
        eight_bit(torch.full((2, 1, 4, 4), torch.nan), "generation")
