"""Reads and writes a Llama's `config.json`, as transformers does; free of torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from crt_ar.llama.shape import LlamaShape, RopeScaling
from crt_nn.foreign import instead
from crtcore.errors import RunError, in_one_line

NAME = "config.json"
_FIXED = {"model_type": "llama", "hidden_act": "silu", "attention_bias": False, "mlp_bias": False}
"""Values that all Llamas here have."""
_LARGEST = 2**24
"""Bytes of a JSON file that are read."""


class Config(NamedTuple):
    """Content of a `config.json`."""

    shape: LlamaShape
    vocabulary: int
    """Rows of the embedding."""
    start: int | None
    """The id of the first position; None: there is none."""


def read_config(folder: Path) -> Config:
    """Reads the `config.json` in `folder`; missing keys have the defaults of transformers.

    Source: huggingface/transformers, models/llama/configuration_llama.py.
    Raises: RunError if it does not exist, or describes a model that is not supported here.
    """
    values = table(folder / NAME)
    for key, expected in _FIXED.items():
        if (value := values.get(key, None if key == "model_type" else expected)) != expected:
            raise unfit(folder, key, repr(expected), value)
    width = _whole(folder, values, "hidden_size")
    heads = _whole(folder, values, "num_attention_heads")
    key_heads = _whole(folder, values, "num_key_value_heads", heads)
    head = _whole(folder, values, "head_dim", max(width // heads, 1))
    if width != heads * head or head % 2:
        raise unfit(folder, "head_dim", f"an even width of {heads} heads that fill {width} channels", head)
    if heads % key_heads:
        raise unfit(folder, "num_key_value_heads", f"a divisor of {heads}", key_heads)
    vocabulary = _whole(folder, values, "vocab_size")
    start = _start(folder, values, vocabulary)
    tied = values.get("tie_word_embeddings", False)
    if type(tied) is not bool:
        raise unfit(folder, "tie_word_embeddings", "true or false", tied)
    base, scaling = _rope(folder, values)
    shape = LlamaShape(
        layers=_whole(folder, values, "num_hidden_layers"),
        width=width,
        heads=heads,
        key_heads=key_heads,
        hidden=_whole(folder, values, "intermediate_size"),
        tied=tied,
        base=base,
        scaling=scaling,
        epsilon=_positive(folder, values, "rms_norm_eps", 1e-6),
        positions=_whole(folder, values, "max_position_embeddings", 2048),
    )
    return Config(shape, vocabulary, start)


def config_of(shape: LlamaShape, vocabulary: int, start: int | None, dtype: str) -> dict[str, Any]:
    """Returns the content of `config.json`, with keys that transformers reads from 4.43 on."""
    scaling = shape.scaling
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
        "rope_scaling": scaling
        and {
            "rope_type": "llama3",
            "factor": scaling.factor,
            "low_freq_factor": scaling.low,
            "high_freq_factor": scaling.high,
            "original_max_position_embeddings": scaling.original,
        },
        "tie_word_embeddings": shape.tied,
        "bos_token_id": start,
        "eos_token_id": None,
        "torch_dtype": dtype,
    }


def table(path: Path) -> dict[str, Any]:
    """Reads the JSON object in a file.

    Raises: RunError if there is none.
    """
    if got := instead(path, text=True):
        raise RunError(f"llama: {path}: expected a JSON object, got {got}")
    try:
        with path.open("rb") as file:
            values = json.loads(file.read(_LARGEST).decode())  # what is longer ends within a value
    except (OSError, ValueError, RecursionError) as error:
        got = f"none ({in_one_line(error):.120}); fetch the folder again, or write it by save_pretrained"
        raise RunError(f"llama: {path}: expected a JSON object, got {got}") from error
    if not isinstance(values, dict):
        raise RunError(f"llama: {path}: expected a JSON object, got {type(values).__name__}; fetch the folder again")
    return values


def unfit(folder: Path, key: str, expected: str, got: object) -> RunError:
    """Returns the error for a value of `config.json`."""
    return RunError(
        f"llama: {folder / NAME}: {key}: expected {expected}, got {got!r:.120}; other Llamas are not supported"
    )


def _start(folder: Path, values: Mapping[str, Any], vocabulary: int) -> int | None:
    """Reads the id of the first position: `bos_token_id`, or where that is null the first `eos_token_id`, if any.

    Source: EleutherAI/lm-evaluation-harness, lm_eval/models/huggingface.py, `prefix_token_id`.
    """
    for key, default in (("bos_token_id", 1), ("eos_token_id", 2)):
        value = values.get(key, default)
        start = next(iter(value), None) if isinstance(value, list) else value
        if start is not None:
            if type(start) is not int or not 0 <= start < vocabulary:
                raise unfit(folder, key, f"an id below {vocabulary}, for the first position", value)
            return start
    return None


def _rope(folder: Path, values: Mapping[str, Any]) -> tuple[float, RopeScaling | None]:
    """Reads base and scaling; transformers 5 has both in `rope_parameters`, earlier versions apart."""
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    if not isinstance(rope, dict):
        raise unfit(folder, "rope_scaling", "an object or null", rope)
    rope = {"rope_theta": values.get("rope_theta", 10_000.0), **rope}
    match kind := rope.get("rope_type", rope.get("type", "default")):
        case "default":
            scaling = None
        case "llama3":
            scaling = RopeScaling(
                factor=_positive(folder, rope, "factor"),
                low=_positive(folder, rope, "low_freq_factor"),
                high=_positive(folder, rope, "high_freq_factor"),
                original=_whole(folder, rope, "original_max_position_embeddings"),
            )
            if scaling.low >= scaling.high:
                raise unfit(folder, "low_freq_factor", f"less than high_freq_factor ({scaling.high})", scaling.low)
        case _:
            raise unfit(folder, "rope_type", "'default' or 'llama3'", kind)
    return _positive(folder, rope, "rope_theta"), scaling


def _whole(folder: Path, values: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """Reads a positive integer."""
    value = default if values.get(key) is None else values[key]
    if type(value) is not int or not 1 <= value < 2**63:
        raise unfit(folder, key, "a positive integer", value)
    return value


def _positive(folder: Path, values: Mapping[str, Any], key: str, default: float | None = None) -> float:
    """Reads a positive number."""
    value = default if values.get(key) is None else values[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= sys.float_info.max:
        raise unfit(folder, key, "a positive number", value)
    return float(value)
