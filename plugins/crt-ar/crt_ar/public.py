"""Reads and writes public LlamaGen checkpoints."""

from __future__ import annotations

from pathlib import Path

from crt_ar.grid import GridTransformer
from crt_nn.tensor_files import fitting, read, write

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

    Raises: RunError if the file is not a checkpoint, or its shapes differ from those of `prior`; `prior` is then as
    before.
    """
    path, published, parameters = Path(path), names(prior), dict(prior.named_parameters())
    expected = {theirs: parameters[ours] for ours, theirs in published.items()}
    hint = "build the prior with the size, codes and classes of the training"
    weights = fitting(path, "llamagen", read(path, "llamagen", _WRAPPERS), expected, hint)
    prior.load_state_dict({ours: weights[theirs] for ours, theirs in published.items()}, strict=False)


def save_llamagen(path: str | Path, prior: GridTransformer) -> None:
    """Writes the weights of `prior` under LlamaGen's names, to `.safetensors`, or to `.pt` for LlamaGen's scripts.

    Raises: RunError if the file has another suffix, or cannot be written.
    """
    parameters = dict(prior.named_parameters())
    write(Path(path), "llamagen", {theirs: parameters[ours] for ours, theirs in names(prior).items()}, _WRAPPERS[0])


def names(prior: GridTransformer) -> dict[str, str]:
    """Maps the names of a prior's parameters to LlamaGen's."""
    return _OUTER_NAMES | {
        f"stack.blocks.{block}.{ours}": f"layers.{block}.{theirs}"
        for block in range(len(prior.stack.blocks))
        for ours, theirs in _BLOCK_NAMES.items()
    }
