"""Folders of Llama, Mistral, Qwen 2 and Qwen 3 through `frozen-llama` and through transformers, with other settings."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from crt_ar import FrozenLlama
from crt_ar.llama.files import read_llama, write_llama

LENGTH, IDS_KNOWN, START = 24, 60, 7
IDS = torch.randint(IDS_KNOWN, (3, LENGTH), generator=torch.Generator().manual_seed(0))
IDS[:, 0] = 3  # no row begins with the start id
READ = torch.cat((torch.full((3, 1), START), IDS), 1)
BASE = {"rope_theta": 1000.0}
LINEAR = BASE | {"rope_type": "linear", "factor": 3.0}
YARN = BASE | {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8}
FORMS: dict[str, dict[str, Any]] = {
    "llama, biases": {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
    "llama, wide heads": {"model_type": "llama", "head_dim": 10},
    "llama, linear": {"model_type": "llama", "rope_parameters": LINEAR, "tie_word_embeddings": True},
    "llama, yarn": {"model_type": "llama", "rope_parameters": YARN},
    "llama, end ids": {"model_type": "llama", "bos_token_id": None, "eos_token_id": [START, 2]},
    "mistral": {"model_type": "mistral", "sliding_window": None, "head_dim": 6},
    "mistral, window": {"model_type": "mistral", "sliding_window": LENGTH + 1},
    "qwen2": {"model_type": "qwen2", "tie_word_embeddings": True},
    "qwen2, window": {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 25, "max_window_layers": 1},
    "qwen2, yarn": {"model_type": "qwen2", "rope_parameters": YARN | {"beta_fast": 4.0, "attention_factor": 1.3}},
    "qwen3": {"model_type": "qwen3", "head_dim": 12},
    "qwen3, biases": {"model_type": "qwen3", "head_dim": 8, "attention_bias": True, "rope_parameters": YARN},
}
EACH = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def theirs(**form: Any) -> Any:
    """A small random model of transformers, with gains and biases of their own."""
    torch.manual_seed(0)
    sizes = {"vocab_size": IDS_KNOWN, "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
    config = AutoConfig.for_model(
        **{**sizes, **heads, "bos_token_id": START, "initializer_range": 0.2, "rope_parameters": dict(BASE), **form}
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name or "bias" in name:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def parted(tokens: Tensor, parents: list[int]) -> list[Tensor]:
    """The ids from the root of a tree to each of its nodes, one row."""
    paths: list[list[int]] = []
    for node, parent in enumerate(parents):
        paths.append([*(paths[parent] if parent >= 0 else []), node])
    return [tokens[path] for path in paths]


@EACH
@torch.no_grad()
def test_whole_passes_have_the_same_logits(tmp_path: Path, form: dict[str, Any]) -> None:
    model = theirs(**form)
    model.save_pretrained(tmp_path)

    prior = FrozenLlama(folder=str(tmp_path)).build(IDS_KNOWN, LENGTH, None)

    torch.testing.assert_close(prior(IDS), model(READ).logits, rtol=1e-5, atol=1e-5)


@EACH
@torch.no_grad()
def test_chains_trees_and_commits_have_the_same_logits(tmp_path: Path, form: dict[str, Any]) -> None:
    model = theirs(**form)
    model.save_pretrained(tmp_path)
    known, chain, tree = 9, 3, [-1, 0, 0, 1, 1, 2]
    session = read_llama(tmp_path).open(IDS[:, :known], capacity=LENGTH, room=len(tree))
    whole = model(READ).logits[:, known:]  # after what is committed, then after each id

    torch.testing.assert_close(session.next_logits, whole[:, 0], rtol=1e-5, atol=1e-5)
    after = session.extend(IDS[:, known : known + chain])
    torch.testing.assert_close(after, whole[:, 1 : 1 + chain], rtol=1e-5, atol=1e-5)
    session.commit(torch.tensor([[0, 1], [0, 1], [0, 1]]))
    tokens = IDS[:, -len(tree) :]
    after = session.extend(tokens, torch.tensor([tree] * 3))
    for row in range(3):
        behind = READ[row, : 1 + known + 2]
        for node, path in enumerate(parted(tokens[row], tree)):
            expected = model(torch.cat((behind, path))[None]).logits[0, -1]
            torch.testing.assert_close(after[row, node], expected, rtol=1e-5, atol=1e-5)
    session.commit(torch.tensor([[0, 2, 5]] * 3))
    committed = torch.cat((READ[:, : 1 + known + 2], tokens[:, [0, 2, 5]]), 1)
    torch.testing.assert_close(session.next_logits, model(committed).logits[:, -1], rtol=1e-5, atol=1e-5)


@EACH
@torch.no_grad()
def test_folders_written_here_have_the_same_logits_in_transformers(tmp_path: Path, form: dict[str, Any]) -> None:
    theirs(**form).save_pretrained(tmp_path / "theirs")
    prior = read_llama(tmp_path / "theirs")
    write_llama(tmp_path / "ours", prior)

    again = AutoModelForCausalLM.from_pretrained(tmp_path / "ours").eval()

    assert again.config.model_type == form["model_type"]
    torch.testing.assert_close(again(READ).logits, prior(IDS), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3"])
@torch.no_grad()
def test_bfloat16_folders_stay_bfloat16(tmp_path: Path, family: str) -> None:
    form = {"model_type": family, "head_dim": 8, "initializer_range": 0.05}
    theirs(**form).bfloat16().save_pretrained(tmp_path)

    prior = FrozenLlama(folder=str(tmp_path)).build(IDS_KNOWN, LENGTH, None)

    assert {weight.dtype for weight in prior.parameters()} == {torch.bfloat16}
    expected = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16).eval()(READ).logits
    torch.testing.assert_close(prior(IDS).float(), expected.float(), rtol=3e-2, atol=3e-2)
