"""The families of transformers that are read, and what in a configuration is refused; free of torch."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from crtcore.errors import RunError

Masks: TypeAlias = Literal["one", "one window", "by layer"]
"""How a family is given its masks: one for all layers, one that `sliding_window` may narrow, or one a kind of layer."""

FAMILIES: dict[str, Masks] = {
    "cohere": "one",
    "gemma": "one",
    "gemma2": "by layer",
    "gemma3_text": "by layer",
    "gpt2": "one",
    "gpt_neox": "one",
    "granite": "one",
    "llama": "one",
    "mistral": "one window",
    "olmo2": "one",
    "olmo3": "by layer",
    "phi3": "one window",
    "qwen2": "by layer",
    "qwen3": "by layer",
    "smollm3": "by layer",
    "stablelm": "one",
    "starcoder2": "one window",
}
"""Each family's masks; a test compares every one of them with transformers."""
ROPES = ("default", "linear", "llama3", "yarn")
"""Kinds of rotary positions whose angles depend on the position alone; `dynamic` and `longrope` read the length."""
LAYERS = ("full_attention", "sliding_attention")
"""Kinds of layers that keep keys and values of single positions."""


def masks(config: Any) -> Masks:
    """How a configuration's family is given its masks.

    Raises: RunError if sessions over trees cannot equal the model's own pass.
    """
    family = config.model_type
    if family not in FAMILIES:
        raise unknown(family)
    for kind in kinds(config):
        if kind not in LAYERS:
            raise RunError(f"huggingface: expected layers of {' or '.join(LAYERS)}, got {kind!r:.80}")
    for rope in _ropes(getattr(config, "rope_parameters", None)):
        if rope not in ROPES:
            raise RunError(
                f"huggingface: expected rotary positions of {', '.join(ROPES)}, got {rope!r:.80}, whose angles depend "
                "on the length of the longest row"
            )
    for key in ("use_bidirectional_attention", "add_cross_attention", "is_encoder_decoder"):
        if getattr(config, key, False):
            raise RunError(f"huggingface: expected a model that reads from left to right, got {key}")
    return FAMILIES[family]


def unknown(family: Any) -> RunError:
    """The error for a family that is not read."""
    return RunError(f"huggingface: expected a model_type of {', '.join(FAMILIES)}, got {family!r:.80}")


def kinds(config: Any) -> list[str]:
    """The kind of each layer."""
    return list(getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers)


def window(config: Any) -> int | None:
    """Positions that a layer with a window sees, its own included; None: there is no window."""
    size: int | None = getattr(config, "sliding_window", None)
    return size


def positions(config: Any) -> int | None:
    """Positions of a family that learns a vector for each; None: there is no limit."""
    return int(config.max_position_embeddings) if config.model_type == "gpt2" else None


def scale(config: Any) -> float:
    """What a family multiplies its logits by."""
    if config.model_type == "granite":
        return 1 / float(config.logits_scaling)
    return float(config.logit_scale) if config.model_type == "cohere" else 1.0


def ids(value: Any) -> tuple[int, ...]:
    """One id, several or none, as configurations have them."""
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(value)


def first_id(config: Any) -> int | None:
    """The id of the first position: `bos_token_id`, or else the first `eos_token_id`; None: there is none.

    Source: EleutherAI/lm-evaluation-harness, lm_eval/models/huggingface.py, `prefix_token_id`.
    """
    known = (*ids(config.bos_token_id), *ids(config.eos_token_id))
    return next((x for x in known if 0 <= x < config.vocab_size), None)


def _ropes(parameters: Any) -> set[str]:
    """The kinds of rotary positions, of all layers."""
    if not isinstance(parameters, dict):
        return set()
    nested = [value for value in parameters.values() if isinstance(value, dict)]
    return {str(each.get("rope_type", "default")) for each in nested or [parameters]}
