"""Public LlamaGen tokenizers: parity with the published equations, loading and saving."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor
from torch.nn import functional

from crt_vq import LFQ, VQ, VQGAN, Conv
from crt_vq.tokenizers.llamagen_files import load_llamagen_tokenizer, save_llamagen_tokenizer
from crtcore.errors import RunError

CHANNELS, MULTIPLIERS, LATENT, CODES, WIDTH = 32, (1, 2), 8, 11, 4
IMAGES = 2 * torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)) - 1
WRITTEN = {"optimizer": {"state": {}}, "discriminator": {}, "steps": 7, "args": argparse.Namespace(vq_model="VQ-16")}


def built(bottleneck: Any = None) -> Any:
    spec = VQGAN(channels=CHANNELS, multipliers=MULTIPLIERS, blocks=2, latent=LATENT)
    return spec.build(bottleneck or VQ(codes=CODES, width=WIDTH).build(), IMAGES)


def published() -> dict[str, Tensor]:
    """Random weights under the names and in the shapes of LlamaGen's tokenizer of two levels."""
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, inward: int, outward: int, size: int = 3) -> None:
        shapes.update({f"{name}.weight": (outward, inward, size, size), f"{name}.bias": (outward,)})

    def residual(name: str, inward: int, outward: int) -> None:
        shapes.update({f"{name}.norm{n}.{leaf}": (c,) for n, c in ((1, inward), (2, outward)) for leaf in LEAVES})
        convolution(f"{name}.conv1", inward, outward)
        convolution(f"{name}.conv2", outward, outward)
        if inward != outward:
            convolution(f"{name}.nin_shortcut", inward, outward, 1)

    def attention(name: str, channels: int) -> None:
        shapes.update({f"{name}.norm.{leaf}": (channels,) for leaf in LEAVES})
        for each in ("q", "k", "v", "proj_out"):
            convolution(f"{name}.{each}", channels, channels, 1)

    for side in ("encoder", "decoder"):
        residual(f"{side}.mid.0", 64, 64)
        attention(f"{side}.mid.1", 64)
        residual(f"{side}.mid.2", 64, 64)
    convolution("encoder.conv_in", 3, 32)
    for block in range(2):
        residual(f"encoder.conv_blocks.0.res.{block}", 32, 32)
        residual(f"encoder.conv_blocks.1.res.{block}", 64 if block else 32, 64)
        attention(f"encoder.conv_blocks.1.attn.{block}", 64)
    convolution("encoder.conv_blocks.0.downsample.conv", 32, 32)
    convolution("encoder.conv_out", 64, LATENT)
    convolution("decoder.conv_in", LATENT, 64)
    for block in range(3):
        residual(f"decoder.conv_blocks.0.res.{block}", 64, 64)
        attention(f"decoder.conv_blocks.0.attn.{block}", 64)
        residual(f"decoder.conv_blocks.1.res.{block}", 32 if block else 64, 32)
    convolution("decoder.conv_blocks.0.upsample.conv", 64, 64)
    convolution("decoder.conv_out", 32, 3)
    convolution("quant_conv", LATENT, WIDTH, 1)
    convolution("post_quant_conv", WIDTH, LATENT, 1)
    for side, channels in (("encoder", 64), ("decoder", 32)):
        shapes |= {f"{side}.norm_out.{leaf}": (channels,) for leaf in LEAVES}
    shapes["quantize.embedding.weight"] = (CODES, WIDTH)
    generator = torch.Generator().manual_seed(0)
    return {name: 0.2 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


LEAVES = ("weight", "bias")
USAGE = {"quantize.codebook_used": torch.zeros(65_536)}


class Published:
    """LlamaGen's tokenizer of two levels, in plain torch, from weights under its names."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.weights = weights

    def convolved(self, name: str, inputs: Tensor, **fields: Any) -> Tensor:
        weight = self.weights[f"{name}.weight"]
        return functional.conv2d(
            inputs, weight, self.weights[f"{name}.bias"], **{"padding": weight.shape[-1] // 2, **fields}
        )

    def normalised(self, name: str, inputs: Tensor) -> Tensor:
        groups = inputs.reshape(len(inputs), 32, -1)
        mean, variance = groups.mean(-1, keepdim=True), groups.var(-1, unbiased=False, keepdim=True)
        scaled = ((groups - mean) / (variance + 1e-6).sqrt()).reshape(inputs.shape)
        gain, shift = (self.weights[f"{name}.{leaf}"][:, None, None] for leaf in LEAVES)
        return scaled * gain + shift

    def swished(self, name: str, inputs: Tensor) -> Tensor:
        normalised = self.normalised(name, inputs)
        return normalised * normalised.sigmoid()

    def residual(self, name: str, inputs: Tensor) -> Tensor:
        added = self.convolved(f"{name}.conv1", self.swished(f"{name}.norm1", inputs))
        added = self.convolved(f"{name}.conv2", self.swished(f"{name}.norm2", added))
        shortcut = f"{name}.nin_shortcut"
        return added + (self.convolved(shortcut, inputs) if f"{shortcut}.weight" in self.weights else inputs)

    def attention(self, name: str, inputs: Tensor) -> Tensor:
        normalised = self.normalised(f"{name}.norm", inputs)
        query, key, value = (self.convolved(f"{name}.{each}", normalised).flatten(2) for each in "qkv")  # b c n
        shares = (query.mT @ key / inputs.shape[1] ** 0.5).softmax(-1)  # b n n
        return inputs + self.convolved(f"{name}.proj_out", (value @ shares.mT).reshape(inputs.shape))

    def middle(self, side: str, stream: Tensor) -> Tensor:
        stream = self.residual(f"{side}.mid.0", stream)
        return self.residual(f"{side}.mid.2", self.attention(f"{side}.mid.1", stream))

    def ids(self, images: Tensor) -> Tensor:
        stream = self.convolved("encoder.conv_in", images)
        for block in range(2):
            stream = self.residual(f"encoder.conv_blocks.0.res.{block}", stream)
        padded = functional.pad(stream, (0, 1, 0, 1))
        stream = self.convolved("encoder.conv_blocks.0.downsample.conv", padded, padding=0, stride=2)
        for block in range(2):
            stream = self.residual(f"encoder.conv_blocks.1.res.{block}", stream)
            stream = self.attention(f"encoder.conv_blocks.1.attn.{block}", stream)
        stream = self.swished("encoder.norm_out", self.middle("encoder", stream))
        latents = self.convolved("quant_conv", self.convolved("encoder.conv_out", stream))
        cells = functional.normalize(latents.flatten(2).mT, dim=-1)  # b n d
        return torch.cdist(cells, self.codes().expand(len(cells), -1, -1)).argmin(-1)

    def codes(self) -> Tensor:
        return functional.normalize(self.weights["quantize.embedding.weight"], dim=-1)

    def images(self, ids: Tensor) -> Tensor:
        cells = self.codes()[ids].mT.unflatten(2, (4, 4))
        stream = self.convolved("decoder.conv_in", self.convolved("post_quant_conv", cells))
        stream = self.middle("decoder", stream)
        for block in range(3):
            stream = self.residual(f"decoder.conv_blocks.0.res.{block}", stream)
            stream = self.attention(f"decoder.conv_blocks.0.attn.{block}", stream)
        doubled = stream.repeat_interleave(2, 2).repeat_interleave(2, 3)
        stream = self.convolved("decoder.conv_blocks.0.upsample.conv", doubled)
        for block in range(3):
            stream = self.residual(f"decoder.conv_blocks.1.res.{block}", stream)
        return self.convolved("decoder.conv_out", self.swished("decoder.norm_out", stream))


def test_public_weights_give_the_ids_and_images_of_the_published_equations(tmp_path: Path) -> None:
    safetensors.torch.save_file(published() | USAGE, tmp_path / "vq.safetensors")
    tokenizer = built()
    load_llamagen_tokenizer(tmp_path / "vq.safetensors", tokenizer)

    with torch.no_grad():
        ids = tokenizer.encode(IMAGES)
        images = tokenizer.decode(ids)

    expected = Published(published())
    assert torch.equal(ids, expected.ids(IMAGES))
    torch.testing.assert_close(images, expected.images(ids), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_saved_weights_load_bit_for_bit(tmp_path: Path, suffix: str) -> None:
    tokenizer, other = built(), built()

    save_llamagen_tokenizer(tmp_path / f"vq{suffix}", tokenizer)
    load_llamagen_tokenizer(tmp_path / f"vq{suffix}", other)

    ours, theirs = tokenizer.state_dict(), other.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_saved_file_has_the_public_names(tmp_path: Path) -> None:
    save_llamagen_tokenizer(tmp_path / "vq.pt", built())

    written = torch.load(tmp_path / "vq.pt", weights_only=True)["model"]

    assert {name: value.shape for name, value in written.items()} == {
        name: value.shape for name, value in (published() | USAGE).items()
    }


@pytest.mark.parametrize(
    "content",
    [
        published(), *({key: published()} for key in ("model", "ema", "state_dict")),
        WRITTEN | {"model": {}, "ema": published() | USAGE},
        # What GEAR's train_gear.py keeps: `ar` and `ema` are of its generator.
        WRITTEN | {"vq": published(), "vq_ema": {}, "ar": {}, "ema": {"tok_embeddings.weight": torch.zeros(2, 2)}},
    ],
    ids=["bare", "model", "ema", "state_dict", "with all that training keeps", "of GEAR's training"],
)  # fmt: skip
def test_every_form_of_a_public_file_is_read(tmp_path: Path, content: dict[str, Any]) -> None:
    torch.save(content, tmp_path / "vq.pt")
    tokenizer = built()

    load_llamagen_tokenizer(tmp_path / "vq.pt", tokenizer)

    assert torch.equal(tokenizer.bottleneck.entries, published()["quantize.embedding.weight"])


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    torch.save(published() | {"quant_conv.weight": torch.zeros(8, LATENT, 1, 1)}, tmp_path / "vq.pt")

    with pytest.raises(RunError, match=r"vq.pt: expected 'quant_conv.weight' to be \[4, 8, 1, 1\], got \[8, 8, 1, 1\]"):
        load_llamagen_tokenizer(tmp_path / "vq.pt", built())


def test_a_missing_or_extra_tensor_is_named(tmp_path: Path) -> None:
    weights = published()
    weights["encoder.conv_blocks.2.res.0.norm1.bias"] = weights.pop("quant_conv.bias")
    torch.save(weights, tmp_path / "vq.pt")

    with pytest.raises(RunError, match=r"expected 'encoder.conv_blocks.2.res.0.norm1.bias' to be absent, got \[4\]"):
        load_llamagen_tokenizer(tmp_path / "vq.pt", built())


def test_a_file_that_contains_code_is_refused(tmp_path: Path) -> None:
    torch.save({"model": published(), "where": tmp_path}, tmp_path / "vq.pt")

    with pytest.raises(
        RunError, match=r"expected tensors and plain values, got pathlib.PosixPath, which needs code to load"
    ):
        load_llamagen_tokenizer(tmp_path / "vq.pt", built())


@pytest.mark.parametrize("content", [[1, 2], {"model": 3}, {"steps": 3}])
def test_a_file_without_weights_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "vq.pt")

    with pytest.raises(RunError, match="expected tensors by name"):
        load_llamagen_tokenizer(tmp_path / "vq.pt", built())


def test_a_file_of_another_sort_is_refused(tmp_path: Path) -> None:
    for use in (load_llamagen_tokenizer, save_llamagen_tokenizer):
        with pytest.raises(RunError, match=r"vq.bin: expected a file that ends in .safetensors.* got '.bin'"):
            use(tmp_path / "vq.bin", built())


@pytest.mark.parametrize("bottleneck", [VQ(codes=11, compare="euclidean"), LFQ(width=4)])
def test_a_bottleneck_that_llamagen_does_not_have_is_refused(tmp_path: Path, bottleneck: Any) -> None:
    with pytest.raises(ValueError, match="expected a bottleneck VQ that compares by cosine"):
        save_llamagen_tokenizer(tmp_path / "vq.pt", built(bottleneck.build()))


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    tokenizer = Conv(channels=4).build(VQ(codes=11).build(), IMAGES)

    with pytest.raises(ValueError, match="expected a tokenizer of VQGAN, got one of Conv"):
        save_llamagen_tokenizer(tmp_path / "vq.pt", tokenizer)
