"""Converts the prior `transformer` to a Llama of the library transformers, which is not imported here."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from crt_ar.llama.layout import EMBEDDING, HEAD, places, published
from crt_ar.transformer import AutoregressiveTransformer
from crt_nn.attention import Attention
from crt_nn.rotary import BASE


def llama_shape(prior: AutoregressiveTransformer) -> dict[str, Any]:
    """Returns arguments of `LlamaConfig`.

    Its ids are the prior's, then the classes, then one for no class.
    """
    hidden, width = prior.state_dict()["stack.blocks.0.sublayers.1.gate.weight"].shape
    return {
        "vocab_size": len(prior.embedding.weight) + len(prior.prefixes.weight),
        "hidden_size": width,
        "intermediate_size": hidden,
        "num_hidden_layers": len(prior.stack.blocks),
        "num_attention_heads": next(layer.heads for layer in prior.modules() if isinstance(layer, Attention)),
        "rms_norm_eps": 1e-5,
        "rope_theta": BASE,
    }


def llama_weights(prior: AutoregressiveTransformer) -> dict[str, Tensor]:
    """Returns weights for a `LlamaForCausalLM` with the logits of `prior`; its output layer has rows for ids alone."""
    weights = prior.state_dict()
    named = {theirs: published(weights[place.name], place) for theirs, place in places(prior.stack).items()}
    named[EMBEDDING] = torch.cat((weights["embedding.weight"], weights["prefixes.weight"]))
    return named | {HEAD: weights["head.weight"]}
