"""Builds priors from the specs of Llamas."""

from __future__ import annotations

from crt_ar.llama.files import read_llama
from crt_ar.llama.network import LlamaTransformer
from crt_ar.llama.spec import FrozenLlama, Llama, LlamaFolder


def new_llama(spec: Llama, vocabulary: int, length: int, classes: int | None) -> LlamaTransformer:
    """Builds a network with new weights; positions are not limited, so `length` is not used."""
    prior = LlamaTransformer(
        spec.shape, vocabulary, classes, start=spec.start, attention=spec.attention, recompute=spec.recompute
    )
    prior.reset_parameters()
    return prior


def llama_in_folder(spec: LlamaFolder, vocabulary: int, length: int, classes: int | None) -> LlamaTransformer:
    """Reads the network in a folder, to train it further.

    Raises: RunError if the folder holds no Llama, or its vocabulary is larger than `vocabulary`.
    """
    return read_llama(spec.folder, vocabulary, classes, attention=spec.attention, recompute=spec.recompute)


def frozen_llama(spec: FrozenLlama, vocabulary: int, length: int, classes: int | None) -> LlamaTransformer:
    """Reads the network in a folder, with frozen weights.

    Raises: RunError if the folder holds no Llama, or its vocabulary is larger than `vocabulary`.
    """
    return read_llama(spec.folder, vocabulary, classes, attention=spec.attention).requires_grad_(False)
