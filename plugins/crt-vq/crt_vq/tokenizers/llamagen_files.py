"""Reads and writes public checkpoints of LlamaGen tokenizers, and of others in their layout, such as GEAR's VQ-16."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

from crt_nn.tensor_files import fitting, read, write
from crt_vq.bottlenecks.codebook import Codebook
from crt_vq.tokenizers.grid import GridTokenizer
from crt_vq.tokenizers.specs import VQGAN

_ENTRIES = "quantize.embedding.weight"
_USAGE = "quantize.codebook_used"
"""The last ids that LlamaGen's training used: no weights, but its code expects the key."""
_USAGE_LENGTH = 65_536
_LEAVES = {
    "norms.0": "norm1",
    "convolutions.0": "conv1",
    "norms.1": "norm2",
    "convolutions.1": "conv2",
    "skip": "nin_shortcut",
    "norm": "norm",
    "query": "q",
    "key": "k",
    "value": "v",
    "outward": "proj_out",
    "1": "conv",
}
"""Our names inside a layer to LlamaGen's."""
_WRAPPERS = ("vq", "ema", "model", "state_dict")
"""Keys of weights: that of GEAR's checkpoints, whose `ema` is a generator's, then those of LlamaGen's
`reconstruction_vq_ddp.py`, in its order."""


def load_llamagen_tokenizer(path: str | Path, tokenizer: GridTokenizer) -> None:
    """Loads a public checkpoint (`.pt`, `.pth` or `.safetensors`) into a `vqgan`, in the precision of the tokenizer.

    Raises: ValueError if the tokenizer has another layout, RunError if the file is no checkpoint, or names or shapes in
    it differ from those of the tokenizer, which is then as before.
    """
    path, theirs, state = Path(path), names(tokenizer), tokenizer.state_dict()
    tensors = read(path, "vqgan", _WRAPPERS)
    tensors.pop(_USAGE, None)
    hint = "build the tokenizer with the multipliers, the blocks and the codes that were trained"
    weights = fitting(path, "vqgan", tensors, {name: state[ours] for ours, name in theirs.items()}, hint)
    tokenizer.load_state_dict({ours: weights[name] for ours, name in theirs.items()}, strict=False)


def save_llamagen_tokenizer(path: str | Path, tokenizer: GridTokenizer) -> None:
    """Saves a `vqgan` under LlamaGen's names, as `.safetensors`, or as `.pt` for LlamaGen's own scripts.

    Raises: ValueError if the tokenizer has another layout, RunError if the file has another suffix, or cannot be
    written.
    """
    state = tokenizer.state_dict()
    weights = {theirs: state[ours] for ours, theirs in names(tokenizer).items()}
    write(Path(path), "vqgan", weights | {_USAGE: torch.zeros(_USAGE_LENGTH)}, "model")


def names(tokenizer: GridTokenizer) -> dict[str, str]:
    """Our names of a tokenizer's parameters to LlamaGen's.

    Raises: ValueError if it is no `vqgan` over a `vq` that compares by cosine, as LlamaGen's does.
    """
    spec, bottleneck = tokenizer.spec, tokenizer.bottleneck
    if not isinstance(spec, VQGAN):
        raise ValueError(f"expected a tokenizer of {VQGAN.__name__}, got one of {type(spec).__name__}")
    if not isinstance(bottleneck, Codebook) or bottleneck.spec.compare != "cosine":
        raise ValueError(f"expected a bottleneck VQ that compares by cosine, got {type(bottleneck).__name__}")
    return {
        **dict(_named("encoder", tokenizer.encoder, [*_encoder(spec), "quant_conv"])),
        **dict(_named("decoder", tokenizer.decoder, ["post_quant_conv", *_decoder(spec)])),
        "bottleneck.entries": _ENTRIES,
    }


def _named(ours: str, network: nn.Module, theirs: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name, _ in network.named_parameters():
        index, *inside, leaf = name.split(".")
        yield f"{ours}.{name}", ".".join([theirs[int(index)], *([_LEAVES[".".join(inside)]] if inside else []), leaf])


def _encoder(spec: VQGAN) -> Iterator[str]:
    yield "encoder.conv_in"
    for level in range(spec.halvings + 1):
        last = level == spec.halvings
        yield from _level(f"encoder.conv_blocks.{level}", spec.blocks, attends=last)
        if not last:
            yield f"encoder.conv_blocks.{level}.downsample"
    yield from (f"encoder.mid.{block}" for block in range(3))
    yield from ("encoder.norm_out", "", "encoder.conv_out")


def _decoder(spec: VQGAN) -> Iterator[str]:
    yield "decoder.conv_in"
    yield from (f"decoder.mid.{block}" for block in range(3))
    for level in range(spec.halvings + 1):
        yield from _level(f"decoder.conv_blocks.{level}", spec.blocks + 1, attends=level == 0)
        if level < spec.halvings:
            yield f"decoder.conv_blocks.{level}.upsample"
    yield from ("decoder.norm_out", "", "decoder.conv_out")


def _level(prefix: str, blocks: int, *, attends: bool) -> Iterator[str]:
    for block in range(blocks):
        yield f"{prefix}.res.{block}"
        if attends:
            yield f"{prefix}.attn.{block}"
