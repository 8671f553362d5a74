"""The causal decoder: what a cell depends on, and which loss moves what."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crt_laws.toys import Patches
from crt_vq import VQ, VQGAN, Adversarial, CausalDecoder, Conv, ResidualVQ
from crt_vq.tokenizers.causal_decoder import CellDecoder
from crtcore.errors import RunError

SMALL = CausalDecoder(tokenizer=Conv(channels=4), layers=2, width=8, heads=2)


def images(*shape: int) -> Tensor:
    """Uniform images."""
    return 2 * torch.rand(shape or (3, 1, 8, 8), generator=torch.Generator().manual_seed(1)) - 1


def built(spec: CausalDecoder = SMALL, bottleneck: Any = None) -> Any:
    """A tokenizer of 16 cells."""
    torch.manual_seed(0)
    return spec.build((bottleneck or VQ(codes=8)).build(), images())


def reach(decoder: nn.Module, cell: int) -> list[int]:
    """The cells of 4 by 4 whose pixels change with the codes of one."""
    codes = torch.randn(1, 16, 8, generator=torch.Generator().manual_seed(2))
    changed = codes.clone()
    changed[0, cell] += 1
    difference = (decoder(codes) - decoder(changed)).abs() > 1e-6
    return nn.functional.max_pool2d(difference.float(), 2).flatten().nonzero().flatten().tolist()


def test_a_cell_depends_on_its_own_codes_and_those_before() -> None:
    decoder = CellDecoder(SMALL, 8, (4, 4), (1, 8, 8))

    assert reach(decoder, 5) == list(range(5, 16))
    assert reach(decoder, 15) == [15]


class Bidirectional(nn.Module):
    """An offender: it adds to each cell the mean over all cells."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, cells: Tensor) -> Tensor:
        image: Tensor = self.decoder(cells + cells.mean(1, keepdim=True))
        return image


def test_a_decoder_that_sees_later_codes_is_noticed() -> None:
    assert min(reach(Bidirectional(CellDecoder(SMALL, 8, (4, 4), (1, 8, 8))), 5)) < 5


def test_cells_are_in_raster_order() -> None:
    decoder = CellDecoder(SMALL, 8, (4, 4), (1, 8, 8))
    decoder.pixels = nn.Sequential(nn.Linear(8, 4))
    decoder.pixels[0].weight.data.zero_()
    decoder.pixels[0].bias.data = torch.tensor([1.0, 2.0, 3.0, 4.0])

    image = decoder(torch.zeros(1, 16, 8))

    assert image[0, 0, :2, :4].tolist() == [[1, 2, 1, 2], [3, 4, 3, 4]]


def test_the_loss_is_that_of_both_decoders_and_the_bottleneck() -> None:
    tokenizer, data = built(), images()
    encoded = tokenizer(data)

    causal = (tokenizer.causal(encoded.codes) - data).square().mean()
    inner = tokenizer.inner(data)

    torch.testing.assert_close(encoded.loss, inner.loss + causal)
    torch.testing.assert_close(encoded.distortion, inner.distortion)


def test_the_decoder_of_images_does_not_move_the_encoder() -> None:
    tokenizer, data = built(), images()

    tokenizer(data).distortion.mean().backward()

    assert all(parameter.grad is None for parameter in tokenizer.inner.encoder.parameters())
    assert all(parameter.grad.any() for parameter in tokenizer.inner.decoder.parameters())


def test_the_causal_decoder_moves_the_encoder() -> None:
    tokenizer, data = built(), images()
    encoded = tokenizer(data)

    (tokenizer.causal(encoded.codes) - data).square().mean().backward()

    assert all(parameter.grad is not None for parameter in tokenizer.inner.encoder.parameters())
    assert all(parameter.grad is None for parameter in tokenizer.inner.decoder.parameters())


def test_several_codes_of_a_cell_are_read_side_by_side() -> None:
    tokenizer = built(bottleneck=ResidualVQ(codes=4, depth=2))

    encoded = tokenizer(images())

    assert tokenizer.length == encoded.codes.shape[1] == 32
    assert torch.equal(tokenizer.decode(tokenizer.encode(images())), tokenizer(images()).reconstruction)


def test_absolute_errors_are_those_of_both_decoders() -> None:
    spec = VQGAN(channels=4, multipliers=(1, 1), blocks=1, latent=4, loss="l1")
    tokenizer, data = built(CausalDecoder(tokenizer=spec, layers=1, width=8, heads=2)), images()
    encoded = tokenizer(data)

    causal = (tokenizer.causal(encoded.codes) - data).abs().mean()

    torch.testing.assert_close(encoded.loss, tokenizer.inner(data).loss + causal)


def test_a_discriminator_takes_the_last_weight_of_the_images_decoder() -> None:
    tokenizer, data = built(), images()
    regularizer: Any = Adversarial(layers=1, channels=4, adaptive=True, start=0.0).build(tokenizer)

    penalty = regularizer(data, tokenizer(data), 1.0)

    assert penalty.metrics["adaptive_weight"] > 0


def test_statistics_of_the_bottleneck_are_kept() -> None:
    tokenizer, data = built(bottleneck=VQ(codes=8, decay=0.9)), images()
    before = tokenizer.bottleneck.entries.clone()

    tokenizer.after_step(tokenizer(data))

    assert not torch.equal(tokenizer.bottleneck.entries, before)


def test_a_tokenizer_without_a_grid_is_refused() -> None:
    with pytest.raises(RunError, match=r"causal-decoder: expected a tokenizer with a grid of cells, .* LinearPatches"):
        built(CausalDecoder(tokenizer=Patches()))
