"""The grid tokenizer: shapes, order of cells, and refused inputs."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from crt_vq import VQ, Conv, ResidualVQ
from crtcore import Noise
from crtcore.errors import RunError
from crtcore.kinds import BottleneckOutput


class Pass:
    """A bottleneck that returns `count` continuous codes for any features."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.width = 6
        self.vocabulary: int | None = None

    def __call__(self, features: Tensor, *, noise: Noise | None = None) -> BottleneckOutput:
        codes = features.repeat(1, 2, 1)[:, : self.count]
        return BottleneckOutput(codes, codes, None, features.new_zeros(len(features)), features.new_zeros(()))


class Case(NamedTuple):
    """An image size and its grid."""

    halvings: int
    shape: tuple[int, int, int]
    length: int


CASES = [Case(1, (1, 8, 8), 16), Case(2, (3, 8, 16), 8), Case(3, (1, 8, 8), 1)]


@pytest.mark.parametrize("case", CASES)
def test_a_sample_has_an_id_for_each_cell(case: Case) -> None:
    images = torch.zeros(2, *case.shape)
    tokenizer = Conv(channels=4, halvings=case.halvings).build(VQ(codes=16).build(), images)

    encoded = tokenizer(images)

    assert tokenizer.length == case.length
    assert tokenizer.vocabulary == 16
    assert tokenizer.encode(images).shape == (2, case.length)
    assert encoded.features.shape == (2, case.length, 8)
    assert encoded.reconstruction.shape == images.shape
    assert encoded.mask.all()


def test_cells_are_in_raster_order() -> None:
    images = torch.zeros(1, 1, 8, 8)
    tokenizer = Conv(channels=4, blocks=0).build(VQ(codes=16).build(), images)
    touched = images.clone()
    touched[0, 0, 0, 7] = 1  # the top right corner: a pixel that only one cell sees

    moved = (tokenizer(touched).features - tokenizer(images).features)[0].norm(dim=-1).nonzero().flatten()

    assert moved.tolist() == [3]


def test_the_distortion_is_the_mean_squared_error_and_the_loss_adds_the_bottlenecks() -> None:
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    tokenizer = Conv(channels=4).build(VQ(codes=16).build(), images)

    encoded = tokenizer(images)

    errors = torch.stack(
        [(one - other).square().mean() for one, other in zip(encoded.reconstruction, images, strict=True)]
    )
    torch.testing.assert_close(encoded.distortion, errors)
    output = tokenizer.bottleneck(encoded.features)
    torch.testing.assert_close(encoded.loss, errors.mean() + output.loss)


def test_class_ids_change_nothing() -> None:
    images = torch.rand(2, 1, 8, 8)
    tokenizer = Conv(channels=4).build(VQ(codes=16).build(), images)

    assert torch.equal(tokenizer.encode(images, torch.tensor([1, 2])), tokenizer.encode(images))


def test_a_side_that_does_not_halve_is_refused() -> None:
    with pytest.raises(RunError, match="expected images whose sides are multiples of 4, got 8 by 6"):
        Conv(halvings=2).build(VQ(codes=16).build(), torch.zeros(1, 1, 8, 6))


def test_images_of_another_size_are_refused() -> None:
    tokenizer = Conv(channels=4).build(VQ(codes=16).build(), torch.zeros(1, 1, 8, 8))

    with pytest.raises(ValueError, match=r"expected images of shape \(1, 8, 8\), got \(1, 16, 16\)"):
        tokenizer(torch.zeros(1, 1, 16, 16))


@pytest.mark.parametrize("ids", [torch.zeros(1, 15, dtype=torch.int64), torch.full((1, 16), -1)])
def test_an_image_with_an_absent_cell_is_refused(ids: Tensor) -> None:
    tokenizer = Conv(channels=4).build(VQ(codes=16).build(), torch.zeros(1, 1, 8, 8))

    with pytest.raises(ValueError, match=r"expected (16 ids a row, none of them absent|ids from 0 to 15), got"):
        tokenizer.decode(ids)


def test_continuous_codes_pass_but_have_no_ids() -> None:
    images = torch.rand(2, 1, 8, 8)
    tokenizer = Conv(channels=4).build(Pass(16), images)

    assert tokenizer(images).ids is None
    with pytest.raises(ValueError, match="continuous"):
        tokenizer.encode(images)


def test_several_codes_of_a_cell_are_adjacent() -> None:
    images = torch.rand(2, 1, 8, 8)
    tokenizer = Conv(channels=4).build(ResidualVQ(codes=16, depth=3).build(), images)

    ids = tokenizer.encode(images)

    assert ids.shape == (2, tokenizer.length) == (2, 3 * 16)
    torch.testing.assert_close(tokenizer.decode(ids), tokenizer(images).reconstruction)


def test_a_cells_codes_reach_only_its_own_pixels() -> None:
    tokenizer = Conv(channels=4, blocks=0).build(ResidualVQ(codes=16, depth=2).build(), torch.zeros(1, 1, 8, 8))
    ids = torch.zeros(1, tokenizer.length, dtype=torch.int64)
    changed = ids.index_fill(1, torch.tensor([0, 1]), 5)

    moved = (tokenizer.decode(ids) != tokenizer.decode(changed))[0, 0]

    # The top left cell is 2 by 2 pixels, and the last convolution reaches one more.
    assert moved.any()
    assert not moved[3:].any()
    assert not moved[:, 3:].any()


@pytest.mark.parametrize("codes", [0, 8, 24])
def test_a_bottleneck_with_other_positions_is_refused(codes: int) -> None:
    with pytest.raises(
        RunError, match=f"expected a bottleneck with the same number of codes for each of 16 features, got {codes}"
    ):
        Conv(channels=4).build(Pass(codes), torch.zeros(1, 1, 8, 8))
