"""The peer of the prior `transformer`: a Llama of transformers with the same weights."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from crt_ar.llama.of_transformer import llama_shape, llama_weights
from crt_ar.transformer import AutoregressiveTransformer


def llama_of(prior: AutoregressiveTransformer) -> Any:
    """The Llama; its output layer has rows for ids alone, so that both sides compute the same."""
    llama = LlamaForCausalLM(LlamaConfig(**llama_shape(prior), attn_implementation="sdpa"))
    llama.lm_head = nn.Linear(*prior.head.weight.shape[::-1], bias=False)
    llama.load_state_dict(llama_weights(prior))
    return llama.eval()


def llama_ids(prior: AutoregressiveTransformer, ids: Tensor, classes: Tensor) -> Tensor:
    """The ids that the Llama reads: a class is an id after those of the prior."""
    return torch.cat((prior.vocabulary + classes[:, None], ids), 1)


def with_random_head(prior: AutoregressiveTransformer) -> AutoregressiveTransformer:
    """The prior with a random output layer; it starts at 0."""
    nn.init.normal_(prior.head.weight, std=prior.head.weight.shape[1] ** -0.5)
    return prior
