"""Reads the `config.json` of a head in the layout of speculators.

Source: vllm-project/speculators, models/eagle3/config.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from crt_ar.llama.config import config_in
from crt_ar.llama.shape import LlamaShape
from crt_hf.library import transformers
from crt_nn.json_files import json_object
from crtcore.errors import RunError, in_one_line

NAME, KIND = "config.json", "speculators_model_type"


class HeadConfig(NamedTuple):
    """What the logits of a head depend on beside its weights."""

    shape: LlamaShape
    vocabulary: int
    """Ids of the target."""
    own: int
    """Ids that the head proposes."""
    norm_before_residual: bool
    layers: tuple[int, ...] | None
    """After how many blocks of the target its hidden states are read; None: `usual`."""


def is_head(folder: Path) -> bool:
    """Whether a folder has the configuration of a speculator."""
    path = folder / NAME
    return path.is_file() and KIND in json_object(path, "speculators")


def read_head_config(folder: Path) -> HeadConfig:
    """Reads the configuration of an EAGLE-3 head.

    Raises: RunError if it describes another speculator, or a head that is not supported here.
    """
    table = json_object(folder / NAME, "speculators")
    _expect(folder, table, KIND, "eagle3")
    for key in ("norm_before_fc", "fc_norm", "norm_output"):
        _expect(folder, {key: table.get(key) or False}, key, False)
    inner = table.get("transformer_layer_config")
    if not isinstance(inner, dict):
        raise _unfit(folder, "transformer_layer_config", "an object", inner)
    try:  # the layout leaves out what has its default
        values = transformers().AutoConfig.for_model(**{"model_type": "llama", **inner}).to_dict()
    except Exception as error:  # transformers raises many kinds for what is in a file
        raise _unfit(
            folder, "transformer_layer_config", "a configuration of transformers", in_one_line(error)
        ) from error
    shape, vocabulary, _ = config_in(folder, values)
    if shape.layers != 1:
        raise _unfit(folder, "num_hidden_layers", "1", shape.layers)
    own = table.get("draft_vocab_size", 32_000)
    if type(own) is not int or not 1 <= own <= vocabulary:
        raise _unfit(folder, "draft_vocab_size", f"an integer from 1 to {vocabulary}", own)
    layers = table.get("eagle_aux_hidden_state_layer_ids")
    if layers is not None and not (isinstance(layers, list) and layers and all(type(x) is int for x in layers)):
        raise _unfit(folder, "eagle_aux_hidden_state_layer_ids", "a list of integers, or null", layers)
    before = table.get("norm_before_residual", False)
    if type(before) is not bool:
        raise _unfit(folder, "norm_before_residual", "true or false", before)
    return HeadConfig(shape, vocabulary, own, before, None if layers is None else tuple(layers))


def usual(layers: int) -> tuple[int, ...]:
    """The layers whose states are read where a head names none: an early one, the middle, and a late one.

    Source: vllm-project/vllm, model_executor/models/llama.py, `get_eagle3_default_aux_hidden_state_layers`.
    """
    return 2, layers // 2, layers - 3


def _expect(folder: Path, table: Mapping[str, Any], key: str, value: object) -> None:
    if table.get(key) != value:
        raise _unfit(folder, key, repr(value), table.get(key))


def _unfit(folder: Path, key: str, expected: str, got: object) -> RunError:
    return RunError(
        f"speculators: {folder / NAME}: {key}: expected {expected}, got {got!r:.120}; other heads are not supported"
    )
