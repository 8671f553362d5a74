"""Folders of small random Llamas, as transformers writes them."""

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from crt_ar import Llama
from crt_ar.llama.network import LlamaTransformer

LAYERS, WIDTH, HEADS, KEY_HEADS, HIDDEN, IDS_KNOWN, START = 2, 32, 4, 2, 24, 11, 9
ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 30,  # the four pairs of a head: one is kept, two are between, one is slow
}
CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "vocab_size": IDS_KNOWN,
    "hidden_size": WIDTH,
    "intermediate_size": HIDDEN,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KEY_HEADS,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-3,
    "rope_theta": 10.0,
    "rope_scaling": ROPE,
    "tie_word_embeddings": False,
    "bos_token_id": START,
}
TIED = CONFIG | {"tie_word_embeddings": True}


def published(config: dict[str, Any]) -> dict[str, Tensor]:
    """Random weights under the names and in the shapes that transformers has."""
    keys = config["num_key_value_heads"] * WIDTH // HEADS
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (IDS_KNOWN, WIDTH),
        "model.norm.weight": (WIDTH,),
    }
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (IDS_KNOWN, WIDTH)
    for layer in range(LAYERS):
        shapes |= {
            f"model.layers.{layer}.{name}.weight": shape
            for name, shape in {
                "self_attn.q_proj": (WIDTH, WIDTH),
                "self_attn.k_proj": (keys, WIDTH),
                "self_attn.v_proj": (keys, WIDTH),
                "self_attn.o_proj": (WIDTH, WIDTH),
                "mlp.gate_proj": (HIDDEN, WIDTH),
                "mlp.up_proj": (HIDDEN, WIDTH),
                "mlp.down_proj": (WIDTH, HIDDEN),
                "input_layernorm": (WIDTH,),
                "post_attention_layernorm": (WIDTH,),
            }.items()
        }
    generator = torch.Generator().manual_seed(0)
    return {name: 0.3 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def laid(folder: Path, config: dict[str, Any], weights: dict[str, Tensor] | None = None, *, shards: int = 1) -> Path:
    """Writes a folder as `save_pretrained` does."""
    weights = published(config) if weights is None else weights
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if shards == 1:
        safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    files = {name: f"model-{place % shards + 1:05}-of-{shards:05}.safetensors" for place, name in enumerate(weights)}
    for file in set(files.values()):
        part = {name: weight for name, weight in weights.items() if files[name] == file}
        safetensors.torch.save_file(part, folder / file, metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return folder


def small(**changes: Any) -> LlamaTransformer:
    """Returns a prior with random weights, as an untied output layer starts at 0."""
    torch.manual_seed(0)
    spec = Llama(**{"layers": 2, "width": 16, "heads": 4, "key_heads": 2, "hidden": 24, "start": 3, **changes})
    prior = spec.build(7, 0, None).requires_grad_(False)
    for parameter in prior.parameters():
        parameter.add_(0.3 * torch.randn_like(parameter))
    return prior
