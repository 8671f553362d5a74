"""Small random models of every family, made by transformers."""

from __future__ import annotations

from typing import Any

import torch
import transformers as hf

USUAL = {
    "vocab_size": 61, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 128, "initializer_range": 0.25, "bos_token_id": 1,
    "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
SLIDING = ["sliding_attention", "full_attention", "sliding_attention"]
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32}
LINEAR = {"rope_type": "linear", "rope_theta": 1e4, "factor": 2.0}
CONFIGS = {
    "llama": lambda: hf.LlamaConfig(**USUAL),
    "llama, yarn": lambda: hf.LlamaConfig(**USUAL, rope_parameters=YARN, attention_bias=True, head_dim=10),
    "qwen2": lambda: hf.Qwen2Config(**USUAL, rope_parameters=LINEAR),
    "qwen2, windows": lambda: hf.Qwen2Config(**USUAL, use_sliding_window=True, sliding_window=5, layer_types=SLIDING),
    "qwen3": lambda: hf.Qwen3Config(**USUAL, head_dim=12),
    "mistral": lambda: hf.MistralConfig(**USUAL, sliding_window=None),
    "mistral, window": lambda: hf.MistralConfig(**USUAL, sliding_window=6),
    "smollm3": lambda: hf.SmolLM3Config(**USUAL, no_rope_layers=[1, 1, 0]),
    "gpt2": lambda: hf.GPT2Config(
        vocab_size=61, n_embd=32, n_layer=3, n_head=4, n_positions=128, initializer_range=0.25, bos_token_id=1,
        eos_token_id=2, pad_token_id=0,
    ),
    "cohere": lambda: hf.CohereConfig(**USUAL),
    "gpt_neox": lambda: hf.GPTNeoXConfig(**{key: USUAL[key] for key in USUAL if key != "num_key_value_heads"}),
    "granite": lambda: hf.GraniteConfig(
        **USUAL, logits_scaling=3.0, embedding_multiplier=2.0, residual_multiplier=0.5, attention_multiplier=0.3
    ),
    "olmo2": lambda: hf.Olmo2Config(**USUAL),
    "olmo3": lambda: hf.Olmo3Config(**USUAL, sliding_window=5, layer_types=SLIDING),
    "phi3": lambda: hf.Phi3Config(**USUAL, sliding_window=6),
    "stablelm": lambda: hf.StableLmConfig(**USUAL),
    "starcoder2": lambda: hf.Starcoder2Config(**USUAL, sliding_window=6),
    "gemma": lambda: hf.GemmaConfig(**USUAL, head_dim=10),
    "gemma2": lambda: hf.Gemma2Config(**USUAL, head_dim=10, sliding_window=5, layer_types=SLIDING),
    "gemma3": lambda: hf.Gemma3TextConfig(**USUAL, head_dim=10, sliding_window=5, layer_types=SLIDING),
}  # fmt: skip


def small(family: str, *, seed: int = 0, **changed: Any) -> Any:
    """A random model, its vectors moved away from the values that they start at."""
    config = CONFIGS[family]()
    for key, value in changed.items():
        setattr(config, key, value)
    torch.manual_seed(seed)
    capped = getattr(config, "attn_logit_softcapping", None) is not None
    model = hf.AutoModelForCausalLM.from_config(config, attn_implementation="eager" if capped else "sdpa").eval()
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model
