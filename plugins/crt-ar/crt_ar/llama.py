"""The prior `transformer` as a Llama of the library transformers, which is not imported here."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from crt_ar.transformer import AutoregressiveTransformer
from crtcore.nn.attention import Attention
from crtcore.nn.rotary import BASE

_AROUND = {"stack.norm.gain": "model.norm.weight", "head.weight": "lm_head.weight"}
_IN_A_BLOCK = {
    "norms.0.gain": "input_layernorm.weight",
    "sublayers.0.outward.weight": "self_attn.o_proj.weight",
    "norms.1.gain": "post_attention_layernorm.weight",
    "sublayers.1.gate.weight": "mlp.gate_proj.weight",
    "sublayers.1.up.weight": "mlp.up_proj.weight",
    "sublayers.1.down.weight": "mlp.down_proj.weight",
}


def llama_shape(prior: AutoregressiveTransformer) -> dict[str, Any]:
    """What to give `LlamaConfig`.

    Ids are the prior's own, then the classes, then the one that says there is none.
    """
    hidden, width = prior.state_dict()["stack.blocks.0.sublayers.1.gate.weight"].shape
    return {
        "vocab_size": len(prior.embedding.weight) + len(prior.prefixes.weight),
        "hidden_size": width,
        "intermediate_size": hidden,
        "num_hidden_layers": len(prior.stack.blocks),
        "num_attention_heads": _heads(prior),
        "rms_norm_eps": 1e-5,
        "rope_theta": BASE,
    }


def llama_weights(prior: AutoregressiveTransformer) -> dict[str, Tensor]:
    """Weights with which `LlamaForCausalLM` has the logits of `prior`; its output layer has rows for ids alone."""
    weights = prior.state_dict()
    named = {theirs: weights[ours] for ours, theirs in _AROUND.items()}
    named["model.embed_tokens.weight"] = torch.cat((weights["embedding.weight"], weights["prefixes.weight"]))
    for index in range(len(prior.stack.blocks)):
        here, there = f"stack.blocks.{index}.", f"model.layers.{index}."
        named |= {there + theirs: weights[here + ours] for ours, theirs in _IN_A_BLOCK.items()}
        query, key, value = weights[here + "sublayers.0.inward.weight"].chunk(3)
        named[there + "self_attn.q_proj.weight"] = _apart(query, _heads(prior))
        named[there + "self_attn.k_proj.weight"] = _apart(key, _heads(prior))
        named[there + "self_attn.v_proj.weight"] = value
    return named


def _heads(prior: AutoregressiveTransformer) -> int:
    return next(layer.heads for layer in prior.modules() if isinstance(layer, Attention))


def _apart(weight: Float[Tensor, "o w"], heads: int) -> Float[Tensor, "o w"]:
    """Rows of a head's neighbouring channels, half a head apart.

    Source: huggingface/transformers, models/llama/modeling_llama.py, `rotate_half`.
    """
    return weight.reshape(heads, -1, 2, weight.shape[-1]).transpose(1, 2).reshape_as(weight)
