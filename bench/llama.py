"""The peer of the prior `transformer`: a Llama of transformers with the same weights."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from crt_ar.llama.of_transformer import llama_shape, llama_weights
from crt_ar.transformer import AutoregressiveTransformer


def llama_of(prior: AutoregressiveTransformer) -> Any:
    """The Llama; its output layer has rows for ids alone, so that neither side has more to compute."""
    llama = LlamaForCausalLM(LlamaConfig(**llama_shape(prior), attn_implementation="sdpa"))
    llama.lm_head = nn.Linear(*prior.head.weight.shape[::-1], bias=False)
    llama.load_state_dict(llama_weights(prior))
    return llama.eval()


def told(prior: AutoregressiveTransformer, ids: Tensor, classes: Tensor) -> Tensor:
    """What the Llama reads: a class is an id behind the prior's own."""
    return torch.cat((prior.vocabulary + classes[:, None], ids), 1)


def woken(prior: AutoregressiveTransformer) -> AutoregressiveTransformer:
    """The prior with an output layer that says something, as it starts at 0."""
    nn.init.normal_(prior.head.weight, std=prior.head.weight.shape[1] ** -0.5)
    return prior
