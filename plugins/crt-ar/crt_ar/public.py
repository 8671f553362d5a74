"""Public LlamaGen checkpoints, read and written."""

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

_AROUND = {
    "embedding.weight": "tok_embeddings.weight",
    "prefixes.weight": "cls_embedding.embedding_table.weight",
    "stack.norm.gain": "norm.weight",
    "head.weight": "output.weight",
}
_IN_A_BLOCK = {
    "norms.0.gain": "attention_norm.weight",
    "sublayers.0.sublayer.inward.weight": "attention.wqkv.weight",
    "sublayers.0.sublayer.outward.weight": "attention.wo.weight",
    "norms.1.gain": "ffn_norm.weight",
    "sublayers.1.sublayer.gate.weight": "feed_forward.w1.weight",
    "sublayers.1.sublayer.up.weight": "feed_forward.w3.weight",
    "sublayers.1.sublayer.down.weight": "feed_forward.w2.weight",
}
_WRAPPERS = ("model", "module", "state_dict")
"""Keys under which LlamaGen's `sample_c2i.py` looks for weights: its own training's, DeepSpeed's, others'."""


def load_llamagen(path: str | Path, prior: GridTransformer) -> None:
    """Gives `prior` the weights of a public checkpoint, `.pt`, `.pth` or `.safetensors`, in its own precision.

    Raises: ValueError if the file is none, or its weights are of another shape than those of `prior`.
    """
    found = _read(Path(path))
    called, parameters = names(prior), dict(prior.named_parameters())
    wanted = {theirs: list(parameters[ours].shape) for ours, theirs in called.items()}
    for name in sorted(wanted.keys() | found.keys()):
        here, there = wanted.get(name, "absent"), list(found[name].shape) if name in found else "absent"
        if here != there:
            raise ValueError(
                f"{path}: expected {name!r} to be {here}, got {there}; "
                "build the prior with the size, the codes and the classes that were trained"
            )
    prior.load_state_dict({ours: found[theirs] for ours, theirs in called.items()}, strict=False)


def save_llamagen(path: str | Path, prior: GridTransformer) -> None:
    """Writes the weights of `prior` as LlamaGen names them, to `.safetensors`, or to `.pt` for its own scripts.

    Raises: ValueError if the file's name ends on anything else.
    """
    parameters = dict(prior.named_parameters())
    weights = {theirs: parameters[ours].detach().cpu().contiguous() for ours, theirs in names(prior).items()}
    match Path(path).suffix:
        case ".safetensors":
            safetensors.torch.save_file(weights, path)
        case ".pt":
            torch.save({_WRAPPERS[0]: weights}, path)
        case other:
            raise ValueError(f"{path}: expected a file that ends on .safetensors or .pt, got {other!r}")


def names(prior: GridTransformer) -> dict[str, str]:
    """What LlamaGen calls each of a prior's parameters."""
    return _AROUND | {
        f"stack.blocks.{block}.{ours}": f"layers.{block}.{theirs}"
        for block in range(len(prior.stack.blocks))
        for ours, theirs in _IN_A_BLOCK.items()
    }


def _read(path: Path) -> Mapping[str, Tensor]:
    if path.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    if path.suffix not in (".pt", ".pth"):
        raise ValueError(f"{path}: expected a file that ends on .safetensors, .pt or .pth, got {path.suffix!r}")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # LlamaGen's training keeps its arguments
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path}: expected tensors and plain values, got what only running it can read") from error
    if isinstance(content, dict):
        content = next((content[wrapper] for wrapper in _WRAPPERS if wrapper in content), content)
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"{path}: expected a table of tensors, got something else; is it a checkpoint of LlamaGen?")
    return content
