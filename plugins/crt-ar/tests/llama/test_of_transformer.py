"""The transformer as a Llama: parity with Llama's equations, in Llama's own layout."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from crt_ar import Transformer
from crt_ar.llama.of_transformer import llama_shape, llama_weights
from crt_ar.transformer import AutoregressiveTransformer

LAYERS, WIDTH, HEADS, HIDDEN, CODES, CLASSES = 3, 32, 4, 40, 17, 5
IDS = torch.randint(CODES, (3, 20), generator=torch.Generator().manual_seed(0))


def built() -> AutoregressiveTransformer:
    """Returns a prior with random weights, as all logits start at 0."""
    torch.manual_seed(0)
    spec = Transformer(layers=LAYERS, width=WIDTH, heads=HEADS, hidden=HIDDEN)
    prior = spec.build(CODES, 20, CLASSES).requires_grad_(False)
    for parameter in prior.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    return prior


def rotated(heads: Tensor) -> Tensor:
    """Queries or keys `b h n d`, whose pairs are channels half a head apart."""
    first, second = heads.chunk(2, -1)
    speeds = 10000.0 ** (-torch.arange(first.shape[-1]) / first.shape[-1])
    angles = torch.arange(heads.shape[-2])[:, None] * speeds
    return torch.cat((first * angles.cos() - second * angles.sin(), second * angles.cos() + first * angles.sin()), -1)


def normalised(stream: Tensor, gain: Tensor) -> Tensor:
    return stream * torch.rsqrt(stream.square().mean(-1, keepdim=True) + 1e-5) * gain


def attended(stream: Tensor, part: dict[str, Tensor]) -> Tensor:
    query, key, value = (
        (stream @ part[f"self_attn.{name}_proj.weight"].T).unflatten(-1, (HEADS, -1)).transpose(1, 2) for name in "qkv"
    )
    scores = rotated(query) @ rotated(key).mT / math.sqrt(WIDTH // HEADS)
    later = torch.ones(scores.shape[-2:]).triu(1).bool()
    mixed = scores.masked_fill(later, -math.inf).softmax(-1) @ value
    return mixed.transpose(1, 2).flatten(2) @ part["self_attn.o_proj.weight"].T


def llama(weights: dict[str, Tensor], ids: Tensor) -> Tensor:
    """Llama in plain torch.

    Source: Touvron et al. (2023), arXiv:2302.13971, section 2.2; the layout is that of transformers.
    """
    stream = weights["model.embed_tokens.weight"][ids]
    for layer in range(LAYERS):
        under = f"model.layers.{layer}."
        part = {name.removeprefix(under): value for name, value in weights.items() if name.startswith(under)}
        stream = stream + attended(normalised(stream, part["input_layernorm.weight"]), part)
        features = normalised(stream, part["post_attention_layernorm.weight"])
        inner = functional.silu(features @ part["mlp.gate_proj.weight"].T) * (features @ part["mlp.up_proj.weight"].T)
        stream = stream + inner @ part["mlp.down_proj.weight"].T
    logits: Tensor = normalised(stream, weights["model.norm.weight"]) @ weights["lm_head.weight"].T
    return logits


@pytest.mark.parametrize("classes", [[0, 2, 4], [-1, 1, -1]])
def test_the_same_weights_give_llamas_logits_in_float32(classes: list[int]) -> None:
    prior = built()
    class_ids = torch.tensor(classes)

    logits = prior(IDS, class_ids)

    prefix = CODES + class_ids.where(class_ids >= 0, CLASSES)
    expected = llama(llama_weights(prior), torch.cat((prefix[:, None], IDS), 1))
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_the_shape_is_that_of_the_prior() -> None:
    shape = llama_shape(built())

    assert (shape["num_hidden_layers"], shape["hidden_size"], shape["intermediate_size"]) == (LAYERS, WIDTH, HIDDEN)
    assert (shape["num_attention_heads"], shape["vocab_size"]) == (HEADS, CODES + CLASSES + 1)
