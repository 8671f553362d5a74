"""Reads and writes public LlamaGen checkpoints."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from crt_ar.grid import GridTransformer

_OUTER_NAMES = {
    "embedding.weight": "tok_embeddings.weight",
    "prefixes.weight": "cls_embedding.embedding_table.weight",
    "stack.norm.gain": "norm.weight",
    "head.weight": "output.weight",
}
_BLOCK_NAMES = {
    "norms.0.gain": "attention_norm.weight",
    "sublayers.0.sublayer.inward.weight": "attention.wqkv.weight",
    "sublayers.0.sublayer.outward.weight": "attention.wo.weight",
    "norms.1.gain": "ffn_norm.weight",
    "sublayers.1.sublayer.gate.weight": "feed_forward.w1.weight",
    "sublayers.1.sublayer.up.weight": "feed_forward.w3.weight",
    "sublayers.1.sublayer.down.weight": "feed_forward.w2.weight",
}
_WRAPPERS = ("model", "module", "state_dict")
"""Keys of the weights in LlamaGen's `sample_c2i.py`: of its own training, of DeepSpeed, of others."""


def load_llamagen(path: str | Path, prior: GridTransformer) -> None:
    """Loads a public checkpoint, `.pt`, `.pth` or `.safetensors`, into `prior`, in the prior's precision.

    Raises: ValueError if the file is not a checkpoint, or its shapes differ from those of `prior`.
    """
    weights = _read(Path(path))
    published, parameters = names(prior), dict(prior.named_parameters())
    shapes = {theirs: list(parameters[ours].shape) for ours, theirs in published.items()}
    for name in sorted(shapes.keys() | weights.keys()):
        expected, got = shapes.get(name, "absent"), list(weights[name].shape) if name in weights else "absent"
        if expected != got:
            raise ValueError(
                f"{path}: expected {name!r} to be {expected}, got {got}; "
                "build the prior with the size, codes and classes of the training"
            )
    prior.load_state_dict({ours: weights[theirs] for ours, theirs in published.items()}, strict=False)


def save_llamagen(path: str | Path, prior: GridTransformer) -> None:
    """Writes the weights of `prior` under LlamaGen's names, to `.safetensors`, or to `.pt` for LlamaGen's scripts.

    Raises: ValueError if the file has another suffix.
    """
    parameters = dict(prior.named_parameters())
    weights = {theirs: parameters[ours].detach().cpu().contiguous() for ours, theirs in names(prior).items()}
    match Path(path).suffix:
        case ".safetensors":
            safetensors.torch.save_file(weights, path)
        case ".pt":
            torch.save({_WRAPPERS[0]: weights}, path)
        case other:
            raise ValueError(f"{path}: expected a file that ends in .safetensors or .pt, got {other!r}")


def names(prior: GridTransformer) -> dict[str, str]:
    """Maps the names of a prior's parameters to LlamaGen's."""
    return _OUTER_NAMES | {
        f"stack.blocks.{block}.{ours}": f"layers.{block}.{theirs}"
        for block in range(len(prior.stack.blocks))
        for ours, theirs in _BLOCK_NAMES.items()
    }


def _read(path: Path) -> Mapping[str, Tensor]:
    if path.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    if path.suffix not in (".pt", ".pth"):
        raise ValueError(f"{path}: expected a file that ends in .safetensors, .pt or .pth, got {path.suffix!r}")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # LlamaGen saves its arguments, too
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path}: expected tensors and plain values, got objects that would run code") from error
    if isinstance(content, dict):
        content = next((content[wrapper] for wrapper in _WRAPPERS if wrapper in content), content)
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"{path}: expected names and tensors, got something else; is it a checkpoint of LlamaGen?")
    return content
