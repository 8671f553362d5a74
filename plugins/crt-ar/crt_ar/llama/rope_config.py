"""Reads and writes what a `config.json` says about rotary positions; free of torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crt_ar.llama.shape import LinearScaling, RopeScaling, Scaling, YarnScaling
from crt_ar.llama.values import positive, unfit, whole

KINDS = "'default', 'linear', 'llama3' or 'yarn'"


def read_rope(folder: Path, values: Mapping[str, Any], longest: int) -> tuple[float, Scaling | None]:
    """Reads base and scaling of a model for `longest` positions.

    Transformers 5 has both in `rope_parameters`, earlier versions apart.

    Source: huggingface/transformers, modeling_rope_utils.py, `standardize_rope_params` for what is not there.
    Raises: RunError if positions are scaled in another way.
    """
    rope = values.get("rope_parameters") or values.get("rope_scaling") or {}
    if not isinstance(rope, dict):
        raise unfit(folder, "rope_scaling", "an object or null", rope)
    rope = {"rope_theta": values.get("rope_theta", 10_000.0), **rope}
    for key in ("partial_rotary_factor", "truncate"):  # heads rotated in part; pairs of YaRN that are not whole
        if (value := rope.get(key, values.get(key, 1))) != 1:
            raise unfit(folder, key, "1", value)
    match kind := rope.get("rope_type", rope.get("type", "default")):
        case "default":
            return positive(folder, rope, "rope_theta"), None
        case "linear":
            return positive(folder, rope, "rope_theta"), LinearScaling(positive(folder, rope, "factor"))
        case "llama3":
            return positive(folder, rope, "rope_theta"), _llama3(folder, rope)
        case "yarn":
            return positive(folder, rope, "rope_theta"), _yarn(folder, rope, values, longest)
        case _:
            raise unfit(folder, "rope_type", KINDS, kind)


def _llama3(folder: Path, rope: Mapping[str, Any]) -> RopeScaling:
    scaling = RopeScaling(
        factor=positive(folder, rope, "factor"),
        low=positive(folder, rope, "low_freq_factor"),
        high=positive(folder, rope, "high_freq_factor"),
        original=whole(folder, rope, "original_max_position_embeddings"),
    )
    if scaling.low >= scaling.high:
        raise unfit(folder, "low_freq_factor", f"less than high_freq_factor ({scaling.high})", scaling.low)
    return scaling


def _yarn(folder: Path, rope: Mapping[str, Any], values: Mapping[str, Any], longest: int) -> YarnScaling:
    """Reads YaRN; its length is `attention_factor`, or follows from the factor.

    Source: huggingface/transformers, modeling_rope_utils.py, `_compute_yarn_parameters`.
    """
    key = "original_max_position_embeddings"
    before = whole(folder, values if values.get(key) else rope, key, longest)
    factor = positive(folder, rope, "factor")
    fast, slow = positive(folder, rope, "beta_fast", 32.0), positive(folder, rope, "beta_slow", 1.0)
    if factor < 1:
        raise unfit(folder, "factor", "1 or more for yarn", factor)
    if before < 8:
        raise unfit(folder, key, "8 or more for yarn", before)
    if slow >= fast:
        raise unfit(folder, "beta_slow", f"less than beta_fast ({fast})", slow)
    if rope.get("attention_factor") is not None:
        length = positive(folder, rope, "attention_factor")
    elif rope.get("mscale") and rope.get("mscale_all_dim"):
        above, below = (positive(folder, rope, each) for each in ("mscale", "mscale_all_dim"))
        length = (1 + 0.1 * above * math.log(factor)) / (1 + 0.1 * below * math.log(factor))
    else:
        length = 1 + 0.1 * math.log(factor)
    return YarnScaling(factor, before, fast, slow, length)


def scaling_of(scaling: Scaling | None) -> dict[str, Any] | None:
    """Returns the value of `rope_scaling`."""
    match scaling:
        case RopeScaling(factor, low, high, original):
            kind = {"rope_type": "llama3", "low_freq_factor": low, "high_freq_factor": high}
            return kind | {"factor": factor, "original_max_position_embeddings": original}
        case LinearScaling(factor):
            return {"rope_type": "linear", "factor": factor}
        case YarnScaling(factor, original, fast, slow, length):
            kind = {"rope_type": "yarn", "beta_fast": fast, "beta_slow": slow, "attention_factor": length}
            return kind | {"factor": factor, "original_max_position_embeddings": original}
        case None:
            return None
