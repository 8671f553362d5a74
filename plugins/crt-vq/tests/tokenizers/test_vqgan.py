"""LlamaGen's networks: their size, their loss, and what stands at an edge."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from crt_vq import VQ, VQGAN, ResidualVQ
from crt_vq.tokenizers.vqgan import decoder, encoder, halving


def small(bottleneck: Any = None, **fields: Any) -> Any:
    """A tokenizer of 8 by 8 colour images."""
    spec = VQGAN(**{"channels": 4, "multipliers": (1, 2), "blocks": 1, "latent": 4, **fields})
    return spec.build(bottleneck or VQ(codes=16).build(), torch.zeros(2, 3, 8, 8))


def images(count: int) -> Tensor:
    return 2 * torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0)) - 1


@pytest.mark.parametrize(("multipliers", "millions"), [((1, 1, 2, 2, 4), 72), ((1, 2, 2, 4), 70)])
def test_the_published_sizes_have_the_published_number_of_parameters(
    multipliers: tuple[int, ...], millions: int
) -> None:
    spec = VQGAN(multipliers=multipliers)

    with torch.device("meta"):
        parts = encoder(spec, 3, 8), decoder(spec, 8, 3), VQ(codes=16_384).build()

    assert round(sum(each.numel() for part in parts for each in part.parameters()) / 1e6) == millions


def test_a_level_more_halves_once_more() -> None:
    assert small(multipliers=(1, 1, 1)).length == 4
    assert small(multipliers=(1,)).length == 64


def test_any_bottleneck_will_do() -> None:
    tokenizer = small(ResidualVQ(codes=16, depth=3).build())

    ids = tokenizer.encode(images(2))

    assert ids.shape == (2, 3 * 16)
    torch.testing.assert_close(tokenizer.decode(ids), tokenizer(images(2)).reconstruction)


@pytest.mark.parametrize("loss", ["l2", "l1"])
def test_the_loss_takes_the_error_that_is_asked_for_and_the_distortion_is_squared(loss: str) -> None:
    tokenizer = small(loss=loss)

    encoded = tokenizer(images(2))

    difference = encoded.reconstruction - images(2)
    error = difference.abs() if loss == "l1" else difference.square()
    output = tokenizer.bottleneck(encoded.features)
    torch.testing.assert_close(encoded.loss, error.mean() + output.loss)
    torch.testing.assert_close(encoded.distortion, difference.square().mean((1, 2, 3)))


def test_a_halving_looks_beyond_the_right_and_the_lower_edge_alone() -> None:
    layer = halving(1)
    layer[1].weight.data.fill_(1.0)
    layer[1].bias.data.zero_()

    seen = layer(torch.ones(1, 1, 4, 4))[0, 0]

    assert seen.tolist() == [[9.0, 6.0], [6.0, 4.0]]


def test_every_cell_reads_every_other() -> None:
    tokenizer = small().double()
    data = images(1).double().requires_grad_()

    (gradient,) = torch.autograd.grad(tokenizer(data).features[0, 0].sum(), data)

    assert gradient[0, :, 7, 7].any()


def test_channels_need_be_no_multiple_of_the_groups() -> None:
    assert small(channels=6).encode(images(1)).shape == (1, 16)
