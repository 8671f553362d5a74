"""Folders that are refused, and the errors."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from crt_ar import FrozenLlama, LlamaFolder
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


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
PAGE = "<!DOCTYPE html>\n<html><body>Not found</body></html>"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"


def holding(name: str, content: str) -> Callable[[Path], object]:
    """Puts a text in the place of a file."""
    return lambda folder: (folder / name).write_text(content)


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
        (
            cut_short,
            r"model.safetensors: expected a file of tensors, got a damaged or other one \(.*\); fetch the file",
        ),
        (
            with_also(model__norm__weight=torch.ones(WIDTH).int()),
            r"'model.norm.weight' to be floating-point .* got I32",
        ),
        (
            with_also(model__norm__weight=torch.full((WIDTH,), torch.nan)),
            "expected 'model.norm.weight' to be finite in float32, got NaN or infinity",
        ),
        (holding("model.safetensors", PAGE), "model.safetensors: expected a file of tensors, got a web page"),
        (holding("model.safetensors", POINTER), "model.safetensors: expected a file of tensors, got a pointer of Git"),
        (holding("config.json", PAGE), "config.json: expected a JSON object, got a web page"),
        (holding("config.json", POINTER), "config.json: expected a JSON object, got a pointer of Git LFS"),
        (holding("config.json", "[" * 100_000), r"config.json: expected a JSON object, got none \(RecursionError"),
        (holding("config.json", '{"a": 1'), r"config.json: expected a JSON object, got none \(JSONDecodeError"),
        (lambda folder: (folder / "model.safetensors").unlink(), "expected model.safetensors or .*, got neither"),
        (lambda folder: (folder / "config.json").unlink(), r"config.json: expected a JSON object, got no such file"),
        (lambda folder: (folder / "config.json").write_text("[1]"), "config.json: expected a JSON object, got list"),
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
        (lost_shard, "model-00002-of-00003.safetensors: expected a file of tensors, got no such file; put it there"),
        (
            other_index("../model.safetensors"),
            "'model.norm.weight': expected the name of a file in the folder, got '../model.safetensors'",
        ),
        (other_index(3), "'model.norm.weight': expected the name of a file in the folder, got 3"),
        (
            other_index("model-00001-of-00003.safetensors"),
            "expected the tensors that model.safetensors.index.json lists, got a difference in 'model.norm.weight'",
        ),
        (other_index(".."), r"/\.\.: expected a file of tensors, got a folder; name a file"),
        (other_index("x" * 300), r"x: expected a file of tensors, got one that cannot be read \(File name too long\)"),
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
            {"model_type": "gemma"},
            "config.json: model_type: expected one of 'llama', 'mistral', 'qwen2', 'qwen3', got 'gemma'; other models",
        ),
        ({"model_type": ["llama"]}, r"model_type: expected one of .*, got \['llama'\]"),
        ({"hidden_act": "gelu"}, "hidden_act: expected 'silu', got 'gelu'"),
        ({"attention_bias": None}, "attention_bias: expected true or false, got None"),
        ({"model_type": "qwen2", "use_sliding_window": 1}, "use_sliding_window: expected true or false, got 1"),
        ({"model_type": "mistral", "sliding_window": 0}, "sliding_window: expected a positive integer, got 0"),
        ({"model_type": "mistral", "layer_types": ["chunked_attention"]}, "layer_types: expected a list of 'full_att"),
        (
            {"rope_scaling": {"rope_type": "dynamic", "factor": 4.0}},
            "rope_type: expected 'default', 'linear', 'llama3' or 'yarn', got 'dynamic'",
        ),
        ({"rope_scaling": {"type": "linear"}}, "factor: expected a positive number, got None"),
        ({"rope_scaling": YARN | {"factor": 0.5}}, "factor: expected 1 or more for yarn, got 0.5"),
        ({"rope_scaling": YARN | {"beta_slow": 40}}, r"beta_slow: expected less than beta_fast \(32.0\), got 40.0"),
        ({"rope_scaling": YARN | {"truncate": False}}, "truncate: expected 1, got False"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor: expected 1, got 0.5"),
        ({"rope_scaling": ROPE | {"factor": None}}, "factor: expected a positive number, got None"),
        ({"rope_scaling": ROPE | {"low_freq_factor": 4.0}}, r"low_freq_factor: expected less than .* \(4.0\), got 4.0"),
        ({"head_dim": 7}, "head_dim: expected an even whole width of a head, with 4 of them, got 7"),
        ({"hidden_size": 34}, "head_dim: expected an even whole width of a head, with 4 of them, got 8"),
        ({"num_key_value_heads": 3}, "num_key_value_heads: expected a divisor of 4, got 3"),
        ({"hidden_size": "32"}, "hidden_size: expected a positive integer, got '32'"),
        ({"num_hidden_layers": None}, "num_hidden_layers: expected a positive integer, got None"),
        ({"rms_norm_eps": 10**400}, "rms_norm_eps: expected a positive number, got 1000"),
        ({"max_position_embeddings": 10**30}, "max_position_embeddings: expected a positive integer, got 1000"),
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


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_hidden_layers": 10**15}, "expected 'model.layers.2.input_layernorm.weight' to be .*, got absent"),
        ({"num_hidden_layers": 1}, "expected 'model.layers.1.input_layernorm.weight' to be absent, got"),
        (
            {"vocab_size": 10**15},
            r"expected 'model.embed_tokens.weight' to be \[1000000000000000, 32\], got \[11, 32\]",
        ),
        ({"head_dim": 16}, r"expected 'model.layers.0.self_attn.q_proj.weight' to be \[64, 32\], got \[32, 32\]"),
        ({"model_type": "qwen2"}, r"expected 'model.layers.0.self_attn.q_proj.bias' to be \[32\], got absent"),
        ({"model_type": "qwen3", "head_dim": 8}, r"'model.layers.0.self_attn.q_norm.weight' to be \[8\], got absent"),
        ({"intermediate_size": 10**15}, r"expected 'model.layers.0.mlp.gate_proj.weight' to be .*, got \[24, 32\]"),
        ({"hidden_size": 4 * 10**15}, r"expected 'model.embed_tokens.weight' to be .*, got \[11, 32\]"),
    ],
)
def test_files_are_compared_before_what_the_config_states_is_made(
    tmp_path: Path, values: dict[str, Any], message: str
) -> None:
    folder = laid(tmp_path / "llama", CONFIG)
    (folder / "config.json").write_text(json.dumps(CONFIG | values))

    with pytest.raises(RunError, match=message):
        read_llama(folder)


@pytest.mark.parametrize("spec", [LlamaFolder, FrozenLlama])
def test_rows_longer_than_the_sliding_window_are_refused(tmp_path: Path, spec: type[LlamaFolder | FrozenLlama]) -> None:
    folder = laid(tmp_path / "mistral", CONFIG | {"model_type": "mistral", "sliding_window": 8})
    prior = spec(folder=str(folder)).build(11, 7, None)
    assert prior(torch.zeros(1, 7, dtype=torch.int64)).shape == (1, 8, 11)

    with pytest.raises(ValueError, match="7"):
        prior(torch.zeros(1, 8, dtype=torch.int64))
    with pytest.raises(RunError, match=r"expected rows of at most 7 ids, .* the sliding window \(8\), got 8; take"):
        spec(folder=str(folder)).build(11, 8, None)


def test_an_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    folder = laid(tmp_path / "llama", CONFIG)

    with pytest.raises(RunError, match=r"expected a new folder, got .*, which is not empty; name another"):
        write_llama(folder, small())
