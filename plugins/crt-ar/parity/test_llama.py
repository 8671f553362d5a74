"""Folders of a Llama through the prior `llama-folder` and through transformers, in an environment that has both."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from crt_ar.llama.files import read_llama, write_llama

LENGTH, IDS_KNOWN, START = 48, 300, 298
IDS = torch.randint(IDS_KNOWN, (3, LENGTH), generator=torch.Generator().manual_seed(0))
READ = torch.cat((torch.full((3, 1), START), IDS), 1)
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
FORMS = pytest.mark.parametrize(
    "form",
    [
        {"tie_word_embeddings": True, "rope_parameters": LLAMA3},
        {"tie_word_embeddings": False, "rope_parameters": LLAMA3 | {"factor": 8.0}, "num_key_value_heads": 1},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0}, "num_key_value_heads": 4},
    ],
    ids=["tied and stretched", "one head of keys", "as Llama 2"],
)
SHARDS = pytest.mark.parametrize("shard", ["5GB", "100KB"])


def theirs(**form: Any) -> Any:
    """A small random Llama of transformers, its norms moved away from 1."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=IDS_KNOWN,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=128,
        rms_norm_eps=1e-5,
        bos_token_id=START,
        **{"num_key_value_heads": 2, "initializer_range": 0.2, **form},
    )
    llama = LlamaForCausalLM(config).eval()
    for name, parameter in llama.named_parameters():
        if "norm" in name:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return llama


@SHARDS
@FORMS
@torch.no_grad()
def test_a_folder_of_transformers_has_the_same_logits_here_in_float32(
    tmp_path: Path, form: dict[str, Any], shard: str
) -> None:
    llama = theirs(**form)
    llama.save_pretrained(tmp_path, max_shard_size=shard)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (shard == "100KB")

    prior = read_llama(tmp_path)

    torch.testing.assert_close(prior(IDS), llama(READ).logits, rtol=1e-5, atol=1e-5)


@SHARDS
@FORMS
@torch.no_grad()
def test_a_folder_written_here_has_the_same_logits_in_transformers_in_float32(
    tmp_path: Path, form: dict[str, Any], shard: str
) -> None:
    theirs(**form).save_pretrained(tmp_path / "theirs")
    prior = read_llama(tmp_path / "theirs", IDS_KNOWN + 5)  # a vocabulary that has grown
    write_llama(tmp_path / "ours", prior, shard={"5GB": 5 * 10**9, "100KB": 10**5}[shard])

    again = LlamaForCausalLM.from_pretrained(tmp_path / "ours").eval()

    assert again.dtype == torch.float32
    torch.testing.assert_close(again(READ).logits, prior(IDS), rtol=1e-5, atol=1e-5)


@FORMS
@torch.no_grad()
def test_caches_give_the_same_logits_id_by_id_in_float32(tmp_path: Path, form: dict[str, Any]) -> None:
    llama = theirs(**form)
    llama.save_pretrained(tmp_path)
    session = read_llama(tmp_path).open(IDS[:, :0], capacity=LENGTH, room=1)
    cached = llama(READ[:, :1], use_cache=True)

    for place in range(LENGTH):
        torch.testing.assert_close(session.next_logits, cached.logits[:, -1], rtol=1e-5, atol=1e-5)
        session.extend(IDS[:, place : place + 1])
        session.commit(torch.zeros(3, 1, dtype=torch.int64))
        cached = llama(READ[:, place + 1 : place + 2], past_key_values=cached.past_key_values, use_cache=True)


@torch.no_grad()
def test_bfloat16_of_both_is_near(tmp_path: Path) -> None:
    llama = theirs(tie_word_embeddings=True, rope_parameters=LLAMA3, initializer_range=0.05)
    llama.bfloat16().save_pretrained(tmp_path)

    prior = read_llama(tmp_path)

    again = LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    expected = again(READ).logits
    torch.testing.assert_close(prior(IDS), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(prior.bfloat16()(IDS).float(), expected, rtol=6e-2, atol=6e-2)
