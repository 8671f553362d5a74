"""Reads and writes a `config.json` of Llama and related families, as transformers does; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from crt_ar.llama.rope_config import read_rope, scaling_of
from crt_ar.llama.shape import Bias, Family, LlamaShape
from crt_ar.llama.values import NAME, flag, positive, unfit, whole
from crt_nn.json_files import json_object


class _Defaults(NamedTuple):
    """What transformers takes for keys that a family's `config.json` does not have."""

    architecture: str
    positions: int
    start: int | None = None
    end: int | None = None
    key_heads: int | None = None
    """None: one for each head of queries."""
    head: int | None = None
    """None: width over heads."""


# huggingface/transformers, models/FAMILY/configuration_FAMILY.py
_FAMILIES: Mapping[Family, _Defaults] = {
    "llama": _Defaults("LlamaForCausalLM", 2048, start=1, end=2),
    "mistral": _Defaults("MistralForCausalLM", 131_072, start=1, end=2, key_heads=8),
    "qwen2": _Defaults("Qwen2ForCausalLM", 32_768, key_heads=32),
    "qwen3": _Defaults("Qwen3ForCausalLM", 32_768, key_heads=32, head=128),
}


class Config(NamedTuple):
    """Content of a `config.json`."""

    shape: LlamaShape
    vocabulary: int
    """Rows of the embedding."""
    start: int | None
    """The id of the first position; None: there is none."""


def read_config(folder: Path) -> Config:
    """Reads the `config.json` in `folder`; missing keys have the defaults of transformers.

    Source: huggingface/transformers, models/llama/configuration_llama.py, and those of mistral, qwen2 and qwen3.
    Raises: RunError if it does not exist, or describes a model that is not supported here.
    """
    return config_in(folder, json_object(folder / NAME, "llama"))


def config_in(folder: Path, values: Mapping[str, Any]) -> Config:
    """Reads what the `config.json` in `folder` has, or an object within it.

    Raises: RunError if it describes a model that is not supported here.
    """
    family = next((name for name in _FAMILIES if name == values.get("model_type")), None)
    if family is None:
        raise unfit(folder, "model_type", f"one of {', '.join(map(repr, _FAMILIES))}", values.get("model_type"))
    if (act := values.get("hidden_act", "silu")) != "silu":
        raise unfit(folder, "hidden_act", "'silu'", act)
    default = _FAMILIES[family]
    heads = whole(folder, values, "num_attention_heads")
    vocabulary = whole(folder, values, "vocab_size")
    longest = whole(folder, values, "max_position_embeddings", default.positions)
    base, scaling = read_rope(folder, values, longest)
    shape = LlamaShape(
        layers=whole(folder, values, "num_hidden_layers"),
        width=whole(folder, values, "hidden_size"),
        heads=heads,
        key_heads=whole(folder, values, "num_key_value_heads", default.key_heads or heads),
        hidden=whole(folder, values, "intermediate_size"),
        tied=flag(folder, values, "tie_word_embeddings"),
        base=base,
        scaling=scaling,
        epsilon=positive(folder, values, "rms_norm_eps", 1e-6),
        positions=longest,
        family=family,
        bias=_bias(folder, values, family),
        feed_bias=family == "llama" and flag(folder, values, "mlp_bias"),
        head_norms=family == "qwen3",
        window=_window(folder, values, family),
    )
    return Config(_with_heads(folder, values, shape), vocabulary, _start(folder, values, vocabulary, default))


def config_of(shape: LlamaShape, vocabulary: int, start: int | None, dtype: str) -> dict[str, Any]:
    """Returns the content of `config.json`, with keys that transformers reads from 4.43 on."""
    return {
        "architectures": [_FAMILIES[shape.family].architecture],
        "model_type": shape.family,
        "hidden_act": "silu",
        "attention_bias": shape.bias == "both",
        "mlp_bias": shape.feed_bias,
        "vocab_size": vocabulary,
        "hidden_size": shape.width,
        "intermediate_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_heads,
        "head_dim": shape.channels,
        "max_position_embeddings": shape.positions,
        "rms_norm_eps": shape.epsilon,
        "rope_theta": shape.base,
        "rope_scaling": scaling_of(shape.scaling),
        "sliding_window": shape.window,
        "use_sliding_window": shape.window is not None,
        "max_window_layers": 0,
        "tie_word_embeddings": shape.tied,
        "bos_token_id": start,
        "eos_token_id": None,
        "torch_dtype": dtype,
    }


def _with_heads(folder: Path, values: Mapping[str, Any], shape: LlamaShape) -> LlamaShape:
    """Returns the shape with the width of its heads, which need not fill the model's width."""
    heads, width = shape.heads, shape.width
    if heads % shape.key_heads:
        raise unfit(folder, "num_key_value_heads", f"a divisor of {heads}", shape.key_heads)
    own = _FAMILIES[shape.family].head
    head = whole(folder, values, "head_dim", own or max(width // heads, 1))
    if head % 2 or (width % heads and own is None and values.get("head_dim") is None):
        raise unfit(folder, "head_dim", f"an even whole width of a head, with {heads} of them", head)
    return shape if head * heads == width else shape._replace(head=head)


def _bias(folder: Path, values: Mapping[str, Any], family: Family) -> Bias:
    """Reads which products of attention add a bias.

    Source: huggingface/transformers, models/FAMILY/modeling_FAMILY.py, the attention's `__init__`.
    """
    if family == "qwen2":
        return "inward"
    return "both" if family != "mistral" and flag(folder, values, "attention_bias") else "none"


def _window(folder: Path, values: Mapping[str, Any], family: Family) -> int | None:
    """Reads the positions that a sliding window shows.

    Of the families of Qwen some layers may have no window; rows within one are the same.
    """
    if family == "llama" or (family != "mistral" and not flag(folder, values, "use_sliding_window")):
        return None
    known = {"full_attention", "sliding_attention"}
    listed = values.get("layer_types") or []
    if not isinstance(listed, list) or not set(map(str, listed)) <= known:
        raise unfit(folder, "layer_types", f"a list of {' and '.join(sorted(map(repr, known)))}", listed)
    if values.get("sliding_window", 4096) is None:
        return None
    return whole(folder, values, "sliding_window", 4096)


def _start(folder: Path, values: Mapping[str, Any], vocabulary: int, default: _Defaults) -> int | None:
    """Reads the id of the first position: `bos_token_id`, or where that is null the first `eos_token_id`, if any.

    Source: EleutherAI/lm-evaluation-harness, lm_eval/models/huggingface.py, `prefix_token_id`.
    """
    for key, id_ in (("bos_token_id", default.start), ("eos_token_id", default.end)):
        value = values.get(key, id_)
        start = next(iter(value), None) if isinstance(value, list) else value
        if start is not None:
            if type(start) is not int or not 0 <= start < vocabulary:
                raise unfit(folder, key, f"an id below {vocabulary}, for the first position", value)
            return start
    return None
