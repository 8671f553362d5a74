"""Folders that are refused, and the errors."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from crt_ar.llama.files import read_llama, write_llama
from crtcore.errors import RunError

from .folders import CONFIG, ROPE, WIDTH, laid, published, small


def without(name: str) -> Callable[[Path], None]:
    """Removes a tensor from the only file."""

    def change(folder: Path) -> None:
        weights = {key: value for key, value in published(CONFIG).items() if key != name}
        safetensors.torch.save_file(weights, folder / "model.safetensors")

    return change


def with_also(**tensors: Tensor) -> Callable[[Path], None]:
    """Adds or replaces tensors; a double underscore is a dot."""

    def change(folder: Path) -> None:
        more = {name.replace("__", "."): value for name, value in tensors.items()}
        safetensors.torch.save_file(published(CONFIG) | more, folder / "model.safetensors")

    return change


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-50])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("model.norm.weight"), r"expected 'model.norm.weight' to be \[32\], got absent"),
        (with_also(extra=torch.ones(2)), r"model.safetensors: expected 'extra' to be absent, got \[2\]"),
        (
            with_also(lm_head__weight=torch.ones(4, WIDTH)),
            r"expected 'lm_head.weight' to be \[11, 32\], got \[4, 32\]; does it fit config.json",
        ),
        (cut_short, r"cannot read .*model.safetensors \(.*\); copy that file again"),
        (lambda folder: (folder / "model.safetensors").unlink(), "expected model.safetensors or .*, got neither"),
        (lambda folder: (folder / "config.json").unlink(), r"expected a JSON object in .*config.json, got none"),
        (lambda folder: (folder / "config.json").write_text("[1]"), "expected a JSON object in .*, got list"),
    ],
)
def test_an_incomplete_folder_is_refused(tmp_path: Path, change: Callable[[Path], object], message: str) -> None:
    folder = laid(tmp_path / "llama", CONFIG)
    change(folder)

    with pytest.raises(RunError, match=message):
        read_llama(folder)


def lost_shard(folder: Path) -> None:
    (folder / "model-00002-of-00003.safetensors").unlink()


def other_index(value: object) -> Callable[[Path], None]:
    """Changes the index for one tensor."""

    def change(folder: Path) -> None:
        path = folder / "model.safetensors.index.json"
        index = json.loads(path.read_text())
        index["weight_map"]["model.norm.weight"] = value
        path.write_text(json.dumps(index))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lost_shard, "expected model-00002-of-00003.safetensors in .*, got no such file; copy it there"),
        (
            other_index("../model.safetensors"),
            "model.norm.weight: expected the name of a file in the folder, got '../model.safetensors'",
        ),
        (other_index(3), "model.norm.weight: expected the name of a file in the folder, got 3"),
        (
            other_index("model-00001-of-00003.safetensors"),
            "to hold the tensors of model.safetensors.index.json, got a difference in 'model.norm.weight'",
        ),
        (
            lambda folder: (folder / "model.safetensors.index.json").write_text("{}"),
            "to have a weight_map of names to files, got None",
        ),
    ],
)
def test_shards_that_differ_from_the_index_are_refused(
    tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    folder = laid(tmp_path / "llama", CONFIG, shards=3)
    change(folder)

    with pytest.raises(RunError, match=message):
        read_llama(folder)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"model_type": "qwen2"},
            "config.json: model_type: expected 'llama', got 'qwen2'; other Llamas are not supported",
        ),
        ({"hidden_act": "gelu"}, "hidden_act: expected 'silu', got 'gelu'"),
        ({"attention_bias": True}, "attention_bias: expected False, got True"),
        (
            {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
            "rope_type: expected 'default' or 'llama3', got 'yarn'",
        ),
        (
            {"rope_scaling": {"type": "linear", "factor": 4.0}},
            "rope_type: expected 'default' or 'llama3', got 'linear'",
        ),
        ({"rope_scaling": ROPE | {"factor": None}}, "factor: expected a positive number, got None"),
        ({"rope_scaling": ROPE | {"low_freq_factor": 4.0}}, r"low_freq_factor: expected less than .* \(4.0\), got 4.0"),
        ({"head_dim": 16}, "head_dim: expected an even width of 4 heads that fill 32 channels, got 16"),
        ({"num_key_value_heads": 3}, "num_key_value_heads: expected a divisor of 4, got 3"),
        ({"hidden_size": "32"}, "hidden_size: expected a positive integer, got '32'"),
        ({"num_hidden_layers": None}, "num_hidden_layers: expected a positive integer, got None"),
        ({"bos_token_id": 11}, "bos_token_id: expected an id below 11, for the first position, got 11"),
        ({"bos_token_id": "9"}, "bos_token_id: expected an id below 11, for the first position, got '9'"),
        ({"bos_token_id": None, "eos_token_id": [12]}, r"eos_token_id: expected an id below 11, .* got \[12\]"),
        ({"tie_word_embeddings": 1}, "tie_word_embeddings: expected true or false, got 1"),
    ],
)
def test_an_unsupported_config_is_refused_by_its_key(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    folder = laid(tmp_path / "llama", CONFIG)
    (folder / "config.json").write_text(json.dumps(CONFIG | values))

    with pytest.raises(RunError, match=message):
        read_llama(folder)


def test_an_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    folder = laid(tmp_path / "llama", CONFIG)

    with pytest.raises(RunError, match=r"expected a new folder, got .*, which is not empty; name another"):
        write_llama(folder, small())
