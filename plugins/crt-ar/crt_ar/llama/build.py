"""What the specs of Llamas build."""

from __future__ import annotations

from crt_ar.llama.files import read_llama
from crt_ar.llama.network import LlamaTransformer
from crt_ar.llama.spec import FrozenLlama, Llama, LlamaFolder


def new_llama(spec: Llama, vocabulary: int, length: int, classes: int | None) -> LlamaTransformer:
    """A network with weights of its own; positions have no end, so that the length does not matter."""
    prior = LlamaTransformer(
        spec.shape, vocabulary, classes, start=spec.start, attention=spec.attention, recompute=spec.recompute
    )
    prior.reset_parameters()
    return prior


def llama_in_folder(spec: LlamaFolder, vocabulary: int, length: int, classes: int | None) -> LlamaTransformer:
    """The network of a folder, to be trained further.

    Raises: RunError if the folder holds no Llama, or one of more ids than `vocabulary`.
    """
    return read_llama(spec.folder, vocabulary, classes, attention=spec.attention, recompute=spec.recompute)


def frozen_llama(spec: FrozenLlama, vocabulary: int, length: int, classes: int | None) -> LlamaTransformer:
    """The network of a folder, which nothing trains.

    Raises: RunError if the folder holds no Llama, or one of more ids than `vocabulary`.
    """
    return read_llama(spec.folder, vocabulary, classes, attention=spec.attention).requires_grad_(False)
