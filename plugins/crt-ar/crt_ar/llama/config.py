"""A Llama's `config.json`, as transformers writes it, read and written; free of torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from crt_ar.llama.shape import LlamaShape, Stretch
from crtcore.errors import RunError

NAME = "config.json"
_FIXED = {"model_type": "llama", "hidden_act": "silu", "attention_bias": False, "mlp_bias": False}
"""What no Llama of ours differs in."""


class Config(NamedTuple):
    """What a `config.json` says."""

    shape: LlamaShape
    vocabulary: int
    """Rows of the embedding."""
    start: int
    """The id before every sequence (bos_token_id)."""


def read_config(folder: Path) -> Config:
    """What the `config.json` in `folder` says of a Llama; where it is silent, the defaults of transformers.

    Source: huggingface/transformers, models/llama/configuration_llama.py.
    Raises: RunError if it is not there, or says anything that a Llama of ours cannot be.
    """
    values = table(folder / NAME)
    for key, expected in _FIXED.items():
        if (found := values.get(key, None if key == "model_type" else expected)) != expected:
            raise unfit(folder, key, repr(expected), found)
    width = _whole(folder, values, "hidden_size")
    heads = _whole(folder, values, "num_attention_heads")
    key_heads = _whole(folder, values, "num_key_value_heads", heads)
    head = _whole(folder, values, "head_dim", max(width // heads, 1))
    if width != heads * head or head % 2:
        raise unfit(folder, "head_dim", f"an even width of {heads} heads that fill {width} channels", head)
    if heads % key_heads:
        raise unfit(folder, "num_key_value_heads", f"a divisor of {heads}", key_heads)
    vocabulary = _whole(folder, values, "vocab_size")
    start = values.get("bos_token_id", 1)
    if type(start) is not int or not 0 <= start < vocabulary:
        raise unfit(folder, "bos_token_id", f"an id below {vocabulary}, which stands before every sequence", start)
    tied = values.get("tie_word_embeddings", False)
    if type(tied) is not bool:
        raise unfit(folder, "tie_word_embeddings", "true or false", tied)
    base, stretch = _rope(folder, values)
    shape = LlamaShape(
        layers=_whole(folder, values, "num_hidden_layers"),
        width=width,
        heads=heads,
        key_heads=key_heads,
        hidden=_whole(folder, values, "intermediate_size"),
        tied=tied,
        base=base,
        stretch=stretch,
        epsilon=_positive(folder, values, "rms_norm_eps", 1e-6),
        positions=_whole(folder, values, "max_position_embeddings", 2048),
    )
    return Config(shape, vocabulary, start)


def config_of(shape: LlamaShape, vocabulary: int, start: int, dtype: str) -> dict[str, Any]:
    """What to write into `config.json`, in words that transformers from 4.43 on knows."""
    stretch = shape.stretch
    return {
        "architectures": ["LlamaForCausalLM"],
        **_FIXED,
        "vocab_size": vocabulary,
        "hidden_size": shape.width,
        "intermediate_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_heads,
        "head_dim": shape.width // shape.heads,
        "max_position_embeddings": shape.positions,
        "rms_norm_eps": shape.epsilon,
        "rope_theta": shape.base,
        "rope_scaling": stretch
        and {
            "rope_type": "llama3",
            "factor": stretch.factor,
            "low_freq_factor": stretch.low,
            "high_freq_factor": stretch.high,
            "original_max_position_embeddings": stretch.original,
        },
        "tie_word_embeddings": shape.tied,
        "bos_token_id": start,
        "eos_token_id": None,
        "torch_dtype": dtype,
    }


def table(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises: RunError if there is none.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(
            f"llama: expected a JSON object in {path}, got none ({error}); name a folder as save_pretrained leaves it"
        ) from error
    if not isinstance(values, dict):
        raise RunError(f"llama: expected a JSON object in {path}, got {type(values).__name__}")
    return values


def unfit(folder: Path, key: str, expected: str, found: object) -> RunError:
    """What is wrong with a value of `config.json`."""
    return RunError(f"llama: {folder / NAME}: {key}: expected {expected}, got {found!r}; no other Llama is read")


def _rope(folder: Path, values: Mapping[str, Any]) -> tuple[float, Stretch | None]:
    """Base and stretch; transformers 5 has both in `rope_parameters`, earlier ones apart."""
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    if not isinstance(rope, dict):
        raise unfit(folder, "rope_scaling", "an object or null", rope)
    rope = {"rope_theta": values.get("rope_theta", 10_000.0), **rope}
    match kind := rope.get("rope_type", rope.get("type", "default")):
        case "default":
            stretch = None
        case "llama3":
            stretch = Stretch(
                factor=_positive(folder, rope, "factor"),
                low=_positive(folder, rope, "low_freq_factor"),
                high=_positive(folder, rope, "high_freq_factor"),
                original=_whole(folder, rope, "original_max_position_embeddings"),
            )
            if stretch.low >= stretch.high:
                raise unfit(folder, "low_freq_factor", f"less than high_freq_factor ({stretch.high})", stretch.low)
        case _:
            raise unfit(folder, "rope_type", "'default' or 'llama3'", kind)
    return _positive(folder, rope, "rope_theta"), stretch


def _whole(folder: Path, values: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """A positive integer."""
    found = default if values.get(key) is None else values[key]
    if type(found) is not int or found < 1:
        raise unfit(folder, key, "a positive integer", found)
    return found


def _positive(folder: Path, values: Mapping[str, Any], key: str, default: float | None = None) -> float:
    """A positive number."""
    found = default if values.get(key) is None else values[key]
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 < found < math.inf:
        raise unfit(folder, key, "a positive number", found)
    return float(found)
