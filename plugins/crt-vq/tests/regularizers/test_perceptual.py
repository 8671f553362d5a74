"""The perceptual regulariser: LPIPS by hand, where its weights come from, and the network without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from crt_vq import VQ, Conv, Perceptual
from crt_vq.regularizers.lpips import MEAN, SPREAD, Distance
from crt_vq.regularizers.vgg import BACKBONE, HEADS, STAGES, random_weights, shapes
from crtcore.errors import RunError
from crtcore.kinds import Encoded

PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
"""The convolutions among torchvision's layers of VGG16."""
TOKENIZER: Any = Conv(channels=4).build(VQ(codes=8).build(), torch.zeros(1, 1, 8, 8))
"""Any one: the distance does not depend on it."""


def encoded(reconstruction: Tensor) -> Encoded:
    """An `Encoded` of which only the reconstruction matters."""
    none = reconstruction.new_zeros(len(reconstruction), 1, 1)
    zero = none[:, 0, 0]
    mask = torch.ones(len(none), 1, dtype=torch.bool)
    return Encoded(none, none, none, None, mask, reconstruction, zero, zero, zero.sum())


def built(**fields: Any) -> Any:
    return Perceptual(**{"stages": 1, **fields}).build(TOKENIZER)


def drawn(*shape: int) -> Tensor:
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1


def public_files(folder: Path) -> dict[str, dict[str, Tensor]]:
    """Files as torchvision and lpips have them, with random weights."""
    ours = random_weights(5)
    layers = [f"stage_{stage}_{layer}" for stage, channels in enumerate(STAGES) for layer in range(len(channels))]
    backbone = {
        f"features.{place}.{leaf}": ours[f"{layer}_{leaf}"]
        for place, layer in zip(PLACES, layers, strict=True)
        for leaf in ("weight", "bias")
    }
    generator = torch.Generator().manual_seed(1)
    heads = {
        f"lin{stage}.model.1.weight": torch.rand(1, channels[-1], 1, 1, generator=generator)
        for stage, channels in enumerate(STAGES)
    }
    files = {BACKBONE: backbone | {"classifier.0.bias": torch.zeros(3)}, HEADS: heads}
    for name, content in files.items():
        torch.save(content, folder / name)
    return files


def test_one_pixel_under_known_weights_has_the_distance_worked_out_by_hand() -> None:
    weights = {name: torch.zeros(shape) for name, shape in shapes(1).items()}
    weights["stage_0_0_weight"][0, 0, 1, 1] = 1.0  # the first channel is red
    weights["stage_0_0_weight"][1, 1, 1, 1] = 1.0  # the second is green
    for channel in range(2):
        weights["stage_0_1_weight"][channel, channel, 1, 1] = 1.0
    weights["head_0"][0, 0], weights["head_0"][0, 1] = 2.0, 0.5
    distance = Distance(weights, 1)

    def pixel(red: float, green: float) -> Tensor:
        colours = [value * SPREAD[index] + MEAN[index] for index, value in enumerate((red, green, 0.0))]
        return torch.tensor(colours)[None, :, None, None]

    # (3, 4) becomes (0.6, 0.8), and (5, 0) becomes (1, 0); what is under 0 becomes 0 first.
    distances = [distance(pixel(3.0, 4.0), pixel(5.0, green)).item() for green in (0.0, -7.0)]

    assert distances == pytest.approx([2 * 0.4**2 + 0.5 * 0.8**2] * 2, rel=1e-5)


def test_stages_add_up_and_places_are_averaged() -> None:
    images, others = drawn(2, 3, 32, 32), drawn(4, 3, 32, 32)[2:]
    one, five = (Distance(random_weights(stages), stages).double() for stages in (1, 5))

    stages = [
        (made - target).square().sum(1).mean((1, 2))
        for made, target in zip(five.features(images), five.features(others), strict=True)
    ]

    torch.testing.assert_close(five(images, others), sum(stages))
    torch.testing.assert_close(one(images, others), stages[0])
    assert [each.shape[1:] for each in five.features(images)] == [
        (64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2),
    ]  # fmt: skip


def test_an_image_is_at_no_distance_from_itself() -> None:
    assert built().double()(drawn(2, 3, 8, 8), encoded(drawn(2, 3, 8, 8)), 0.5).loss == 0


def test_a_grey_image_is_one_of_three_equal_colours() -> None:
    grey = drawn(4, 1, 8, 8)
    distance = Distance(random_weights(1), 1).double()

    assert torch.equal(distance(grey[:2], grey[2:]), distance(grey[:2].repeat(1, 3, 1, 1), grey[2:].repeat(1, 3, 1, 1)))


def test_the_gradient_reaches_the_encoder_and_there_is_nothing_to_learn() -> None:
    images = drawn(2, 1, 8, 8).float()
    tokenizer = Conv(channels=4).build(VQ(codes=16).build(), images)
    regularizer = built()
    reached = tokenizer(images)

    penalty = regularizer(images, reached, 0.5)

    (gradient,) = torch.autograd.grad(penalty.loss, reached.features)
    assert gradient.any()
    assert list(regularizer.parameters()) == []
    assert regularizer.state_dict() == {}
    assert penalty.metrics == {"distance": penalty.loss.item()}


def test_features_that_are_0_have_a_gradient_that_is_a_number() -> None:
    weights = {name: torch.zeros(shape) for name, shape in shapes(1).items()} | {"head_0": torch.ones(1, 64, 1, 1)}
    image = torch.zeros(1, 3, 4, 4, requires_grad=True)

    (gradient,) = torch.autograd.grad(Distance(weights, 1)(image, torch.ones(1, 3, 4, 4)).sum(), image)

    assert gradient.isfinite().all()


def test_without_weights_the_network_is_the_same_every_time_and_says_what_it_is() -> None:
    torch.manual_seed(1)
    one = built()
    torch.manual_seed(2)
    other = built()

    assert torch.equal(one.distance.stage_0_1_weight, other.distance.stage_0_1_weight)
    assert one.backend == "not LPIPS: a random VGG16 (1 of 5 stages, seed 0), as no weights are named"


def test_the_random_network_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)

    torch.manual_seed(3)
    built()

    assert torch.equal(torch.rand(2), expected)


def test_public_weights_are_found_in_the_folder_that_is_named(tmp_path: Path) -> None:
    files = public_files(tmp_path)

    regularizer = built(weights=str(tmp_path), stages=5)

    assert torch.equal(regularizer.distance.stage_4_2_bias, files[BACKBONE]["features.28.bias"])
    assert torch.equal(regularizer.distance.stage_3_0_weight, files[BACKBONE]["features.17.weight"])
    assert torch.equal(regularizer.distance.head_2, files[HEADS]["lin2.model.1.weight"])
    assert regularizer.backend == f"LPIPS on VGG16 (5 of 5 stages), weights from {tmp_path}"


def test_a_file_that_is_not_there_is_named_with_where_it_comes_from(tmp_path: Path) -> None:
    torch.save({}, tmp_path / BACKBONE)

    with pytest.raises(RunError, match=r"got no vgg.pth; vgg.pth is lpips/weights/v0.1/vgg.pth of github.com"):
        built(weights=str(tmp_path))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    heads = public_files(tmp_path)[HEADS]
    torch.save(heads | {"lin0.model.1.weight": torch.zeros(1, 192, 1, 1)}, tmp_path / HEADS)

    with pytest.raises(RunError, match=r"expected 'lin0.model.1.weight' to be \[1, 64, 1, 1\], got \[1, 192, 1, 1\]"):
        built(weights=str(tmp_path))


@pytest.mark.parametrize(("shape", "stages"), [((2, 3, 8, 8), 5), ((2, 2, 8, 8), 1)])
def test_images_that_it_cannot_see_are_refused(shape: tuple[int, ...], stages: int) -> None:
    distance = Distance(random_weights(stages), stages)

    with pytest.raises(RunError, match=rf"expected images of 1 or 3 channels, at least {2 ** (stages - 1)} by"):
        distance(torch.zeros(shape), torch.zeros(shape))
