"""The same weights through the prior `transformer` and through transformers' Llama, in an environment that has both."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from crt_ar import Transformer
from crt_ar.llama.of_transformer import llama_shape, llama_weights
from crt_ar.transformer import AutoregressiveTransformer

LENGTH, CODES, CLASSES = 48, 300, 7
CLASS_IDS = torch.tensor([0, 6, -1])
IDS = torch.randint(CODES, (3, LENGTH), generator=torch.Generator().manual_seed(0))
READ = torch.cat((CODES + CLASS_IDS.where(CLASS_IDS >= 0, CLASSES)[:, None], IDS), 1)


def pair(*, layers: int, width: int, heads: int) -> tuple[AutoregressiveTransformer, Any]:
    """Returns both with the same random weights, as all logits start at 0."""
    torch.manual_seed(0)
    prior = Transformer(layers=layers, width=width, heads=heads).build(CODES, LENGTH, CLASSES).requires_grad_(False)
    for parameter in prior.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    llama = LlamaForCausalLM(LlamaConfig(**llama_shape(prior)))
    llama.lm_head = nn.Linear(width, CODES, bias=False)
    llama.load_state_dict(llama_weights(prior))
    return prior, llama.eval()


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("shape", [{"layers": 2, "width": 64, "heads": 4}, {"layers": 6, "width": 128, "heads": 2}])
@torch.no_grad()
def test_a_whole_pass_gives_the_same_logits_in_float32(shape: dict[str, int], attention: str) -> None:
    prior, llama = pair(**shape)
    llama.set_attn_implementation(attention)

    logits = prior(IDS, CLASS_IDS)

    torch.testing.assert_close(logits, llama(READ).logits, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_caches_give_the_same_logits_id_by_id_in_float32() -> None:
    prior, llama = pair(layers=4, width=64, heads=4)
    session = prior.open(IDS[:, :0], CLASS_IDS, capacity=LENGTH, room=1)
    theirs = llama(READ[:, :1], use_cache=True)

    for place in range(LENGTH):
        torch.testing.assert_close(session.next_logits, theirs.logits[:, -1], rtol=1e-5, atol=1e-5)
        session.extend(IDS[:, place : place + 1])
        session.commit(torch.zeros(3, 1, dtype=torch.int64))
        theirs = llama(READ[:, place + 1 : place + 2], past_key_values=theirs.past_key_values, use_cache=True)
