"""Soft read-out: which loss moves what, cells of images, and tokenizers without any."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crt_vq import VQ, Conv, EndToEnd, SoftReadout
from crt_vq.regularizers.soft_readout import SoftReadoutRegularizer
from crtcore import Noise
from crtcore.errors import RunError
from crtcore.kinds import Encoded, RegularizerOutput


def images(*shape: int) -> Tensor:
    """Uniform images."""
    return 2 * torch.rand(shape or (4, 1, 8, 8), generator=torch.Generator().manual_seed(1)) - 1


def built(**fields: Any) -> tuple[SoftReadoutRegularizer, Any]:
    """A small regulariser and its tokenizer of 16 ids of 6 codes."""
    torch.manual_seed(0)
    tokenizer = Conv(channels=4).build(VQ(codes=6).build(), images())
    regularizer: Any = SoftReadout(layers=2, width=8, heads=2, **fields).build(tokenizer)
    return regularizer, tokenizer


def test_the_targets_are_the_pixels_of_cells_in_raster_order() -> None:
    regularizer, _ = built()
    numbered = torch.arange(64.0).view(1, 1, 8, 8)

    targets = regularizer.targets(numbered)

    assert targets.shape == (1, 16, 4)
    assert targets[0, :2].tolist() == [[0, 1, 8, 9], [2, 3, 10, 11]]
    assert targets[0, 4].tolist() == [16, 17, 24, 25]


def test_the_alignment_is_the_mean_cosine() -> None:
    regularizer, _ = built()
    regularizer.project = torch.nn.Identity()  # type: ignore[assignment]
    hidden = torch.tensor([[[2.0, 0.0], [1.0, 1.0], [5.0, 5.0]]])
    targets = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [-1.0, -1.0]]])

    mean = regularizer.alignment(hidden, targets, torch.tensor([[True, True, True]]))
    two = regularizer.alignment(hidden, targets, torch.tensor([[True, True, False]]))

    assert mean.item() == pytest.approx(-(1 + math.sqrt(0.5) - 1) / 3, abs=1e-6)
    assert two.item() == pytest.approx(-(1 + math.sqrt(0.5)) / 2)


def sensitive_to_logits(regularizer: Any, tokenizer: Any) -> bool:
    """Whether the tokenizer's gradient depends on how ids are predicted: the next-id loss reaches it."""

    def gradient() -> Tensor:
        encoded: Encoded = tokenizer(images())
        penalty: RegularizerOutput = regularizer(images(), encoded, 1.0)
        return torch.autograd.grad(penalty.loss, encoded.latents)[0]

    before = gradient()
    regularizer.generator.predict[1].weight.data.mul_(5)
    return not torch.equal(gradient(), before)


def test_the_next_id_loss_never_reaches_the_tokenizer() -> None:
    assert not sensitive_to_logits(*built())


def test_a_regulariser_whose_next_id_loss_reaches_the_tokenizer_is_noticed() -> None:
    _, tokenizer = built()

    assert sensitive_to_logits(EndToEnd(layers=2, width=8, heads=2).build(tokenizer), tokenizer)


def test_the_guide_moves_encoder_and_codes() -> None:
    regularizer, tokenizer = built()

    regularizer(images(), tokenizer(images()), 1.0).loss.backward()

    gradients = [parameter.grad for parameter in [*tokenizer.encoder.parameters(), tokenizer.bottleneck.entries]]
    assert all(gradient is not None and gradient.any() for gradient in gradients)
    assert all(parameter.grad is None for parameter in [*tokenizer.decoder.parameters(), *regularizer.parameters()])


def test_the_own_loss_moves_the_whole_generator() -> None:
    regularizer, tokenizer = built()

    regularizer(images(), tokenizer(images()), 1.0).own_loss.backward()

    assert all(parameter.grad is not None and parameter.grad.any() for parameter in regularizer.parameters())


def test_the_first_cell_is_aligned_without_reading_an_id() -> None:
    regularizer, tokenizer = built()
    encoded = tokenizer(images())
    data = torch.zeros(4, 1, 8, 8)
    data[:, :, :2, :2] = images(4, 1, 2, 2)  # other cells have no direction, and a cosine of 0

    (gradient,) = torch.autograd.grad(regularizer(data, encoded, 1.0).loss, encoded.latents)

    assert not gradient.any()


def test_training_aligns_the_generator_with_what_it_has_read() -> None:
    regularizer, tokenizer = built()
    optimizer = torch.optim.Adam(regularizer.parameters(), lr=1e-2)
    data = images(1, 1, 8, 8).expand(8, 1, 8, 8)

    for _ in range(200):
        penalty = regularizer(data, tokenizer(data), 1.0)
        optimizer.zero_grad()
        penalty.own_loss.backward()
        optimizer.step()

    assert penalty.metrics["alignment"] > 0.9
    assert penalty.metrics["cross_entropy"] < 0.1


def test_cells_need_not_be_square() -> None:
    tokenizer = Conv(channels=4).build(VQ(codes=6).build(), images(2, 3, 4, 8))

    regularizer: Any = SoftReadout(layers=1, width=8, heads=2).build(tokenizer)

    assert regularizer.cell == (3, 2, 2)


class Flat(nn.Module):
    """A tokenizer of one row of numbers, of which only the shapes matter."""

    def __init__(self) -> None:
        super().__init__()
        self.bottleneck: Any = VQ(codes=6).build()
        self.width, self.vocabulary, self.length = 8, 6, 3

    def forward(self, data: Tensor, class_ids: Tensor | None = None, *, noise: Noise | None = None) -> Encoded:
        """Nothing calls it."""
        raise AssertionError

    def encode(self, data: Tensor, class_ids: Tensor | None = None) -> Tensor:
        """Nothing calls it."""
        raise AssertionError

    def decode(self, ids: Tensor, class_ids: Tensor | None = None) -> Tensor:
        """Twelve numbers."""
        return torch.zeros(len(ids), 12)


def test_ids_that_are_no_grid_over_an_image_are_refused() -> None:
    with pytest.raises(
        RunError, match=r"an id for each cell of a grid over an image, got 3 ids for data of shape \(12"
    ):
        SoftReadout().build(Flat())


def test_continuous_codes_are_refused() -> None:
    regularizer, tokenizer = built()

    with pytest.raises(ValueError, match="expected ids, got codes that are continuous"):
        regularizer(images(), tokenizer(images())._replace(ids=None), 1.0)
