"""Reads and writes the weights of a head, and its map of ids.

Axes: d the head's ids, w width.
Source: vllm-project/speculators, models/eagle3/core.py, for the names.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor

from crt_ar.llama.config import config_of
from crt_ar.llama.layout import halves, pairs
from crt_hf.heads.config import KIND, NAME, HeadConfig, read_head_config
from crt_hf.heads.network import Head
from crt_nn.tensor_files import fitting, read
from crtcore.errors import RunError

WEIGHTS, EMBEDDING = "model.safetensors", "embed_tokens.weight"
_NAMES = {
    "fuse.weight": "fc.weight",
    "id_norm.gain": "layers.0.input_layernorm.weight",
    "state_norm.gain": "layers.0.hidden_norm.weight",
    "feed_norm.gain": "layers.0.post_attention_layernorm.weight",
    "norm.gain": "norm.weight",
    "head.weight": "lm_head.weight",
    "embedding.weight": EMBEDDING,
    "attention.outward.weight": "layers.0.self_attn.o_proj.weight",
    "attention.outward.bias": "layers.0.self_attn.o_proj.bias",
    "attention.query_norm.gain": "layers.0.self_attn.q_norm.weight",
    "attention.key_norm.gain": "layers.0.self_attn.k_norm.weight",
    "feed.gate.weight": "layers.0.mlp.gate_proj.weight",
    "feed.gate.bias": "layers.0.mlp.gate_proj.bias",
    "feed.up.weight": "layers.0.mlp.up_proj.weight",
    "feed.up.bias": "layers.0.mlp.up_proj.bias",
    "feed.down.weight": "layers.0.mlp.down_proj.weight",
    "feed.down.bias": "layers.0.mlp.down_proj.bias",
}
"""Parameters of a head here, of which some have no bias, and what the layout calls them."""


def read_head(folder: Path, target: Float[Tensor, "v w"], states: int) -> tuple[Head, list[int]]:
    """Reads the head in a folder, with its ids of the target, whose embedding and number of read states are given.

    A head without an embedding has the target's.
    Raises: RunError if a tensor is missing, unknown, of another shape, or not finite, or the ids do not fit the target.
    """
    config, path = read_head_config(folder), folder / WEIGHTS
    if config.vocabulary != len(target):
        raise RunError(
            f"speculators: {folder}: expected a head for a target of {len(target)} ids, got one for "
            f"{config.vocabulary}; name the target that it was trained with"
        )
    tensors = read(path, "speculators")
    own = _ids(path, config, tensors.pop("d2t", None))
    tensors.pop("t2d", None)  # says the same the other way round
    tensors.setdefault(EMBEDDING, target.detach())
    head = Head(config, states * target.shape[1])
    places = _places(head)
    made = fitting(
        path, "speculators", tensors, {theirs: value for theirs, (value, _) in places.items()},
        "name the target that the head was trained with",
    )  # fmt: skip
    with torch.no_grad():
        for theirs, (value, heads) in places.items():
            value.copy_(pairs(made[theirs], heads) if heads else made[theirs])
    return head.eval().requires_grad_(False), own


def write_head(folder: Path, head: Head, own: Sequence[int]) -> None:
    """Writes a head in bfloat16 to a folder; `own` are its ids of the target, whose embedding is left out.

    A head does not decide what comes out, and in half of the bytes its calls take half of the time.
    """
    config, dtype = head.config, "bfloat16"
    table = {
        "architectures": ["Eagle3Speculator"],
        KIND: "eagle3",
        "speculators_config": {"algorithm": "eagle3", "verifier": {"name_or_path": None}},
        "draft_vocab_size": config.own,
        "norm_before_residual": config.norm_before_residual,
        "eagle_aux_hidden_state_layer_ids": None if config.layers is None else list(config.layers),
        "transformer_layer_config": config_of(config.shape, config.vocabulary, None, dtype),
        "torch_dtype": dtype,
    }
    tensors = {
        theirs: (halves(value.detach(), heads) if heads else value.detach()).to("cpu", torch.bfloat16).contiguous()
        for theirs, (value, heads) in _places(head).items()
        if theirs != EMBEDDING
    }
    offsets = torch.tensor(own) - torch.arange(config.own)
    known = torch.zeros(config.vocabulary, dtype=torch.bool).index_fill(0, torch.tensor(own), True)
    save_file(tensors | {"d2t": offsets, "t2d": known}, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / NAME).write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


def _places(head: Head) -> dict[str, tuple[Tensor, int]]:
    """Published names to parts of parameters, with the heads whose rotated pairs are neighbours here; 0: none."""
    weights = dict(head.named_parameters())
    places: dict[str, tuple[Tensor, int]] = {
        theirs: (weights[ours], 0) for ours, theirs in _NAMES.items() if ours in weights
    }
    for norm in ("q_norm", "k_norm"):
        if (name := f"layers.0.self_attn.{norm}.weight") in places:
            places[name] = places[name][0], 1
    layer = head.attention
    sizes = [count * layer.channels for count in (layer.heads, layer.key_heads, layer.key_heads)]
    for kind in ("weight", "bias"):
        if (joint := weights.get(f"attention.inward.{kind}")) is not None:
            for letter, part, heads in zip(
                "qkv", torch.split(joint, sizes), (layer.heads, layer.key_heads, 0), strict=True
            ):
                places[f"layers.0.self_attn.{letter}_proj.{kind}"] = part, heads
    return places


def _ids(path: Path, config: HeadConfig, offsets: Tensor | None) -> list[int]:
    """The target's id of each of the head's: itself, with what is added to it."""
    ids = torch.arange(config.own)
    if offsets is not None:
        if offsets.dtype.is_floating_point or offsets.shape != ids.shape:
            raise RunError(
                f"speculators: {path}: expected 'd2t' to be {config.own} integers, got {list(offsets.shape)} of "
                f"{offsets.dtype}; fetch the file again"
            )
        ids = ids + offsets
    elif config.own != config.vocabulary:
        raise RunError(f"speculators: {path}: expected 'd2t', as the head has {config.own} of {config.vocabulary} ids, "
                       "got none; fetch the file again")  # fmt: skip
    listed: list[int] = ids.tolist()
    if len(set(listed)) != len(listed) or min(listed) < 0 or max(listed) >= config.vocabulary:
        raise RunError(
            f"speculators: {path}: expected 'd2t' to lead to distinct ids below {config.vocabulary}, got others; fetch "
            "the file again"
        )
    return listed
