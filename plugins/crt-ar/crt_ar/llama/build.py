"""Builds priors from the specs of Llamas."""

from __future__ import annotations

from pathlib import Path

from crt_ar.llama.config import read_config
from crt_ar.llama.files import read_llama
from crt_ar.llama.network import LlamaTransformer
from crt_ar.llama.spec import FrozenLlama, Llama, LlamaFolder
from crtcore.errors import RunError


def new_llama(spec: Llama, vocabulary: int, length: int, classes: int | None) -> LlamaTransformer:
    """Builds a network with new weights; positions are not limited, so `length` is not used."""
    prior = LlamaTransformer(
        spec.shape, vocabulary, classes, start=spec.start, attention=spec.attention, recompute=spec.recompute
    )
    prior.reset_parameters()
    return prior


def llama_in_folder(spec: LlamaFolder, vocabulary: int, length: int, classes: int | None) -> LlamaTransformer:
    """Reads the network in a folder, to train it further.

    Raises: RunError if the folder holds no such network, its vocabulary is larger than `vocabulary`, or rows of
    `length` ids do not fit its window, or it has fewer blocks than are to be trained.
    """
    prior = read_llama(spec.folder, vocabulary, classes, attention=spec.attention, recompute=spec.recompute)
    if spec.trained:
        prior.freeze(read_config(Path(spec.folder).absolute()).vocabulary, spec.trained)
    return _within_window(prior, spec.folder, length)


def frozen_llama(spec: FrozenLlama, vocabulary: int, length: int, classes: int | None) -> LlamaTransformer:
    """Reads the network in a folder, with frozen weights.

    Raises: RunError as `llama_in_folder` does.
    """
    prior = read_llama(spec.folder, vocabulary, classes, attention=spec.attention, dtype=None).requires_grad_(False)
    return _within_window(prior, spec.folder, length)


def _within_window(prior: LlamaTransformer, folder: str, length: int) -> LlamaTransformer:
    if prior.longest is not None and length > prior.longest:
        raise RunError(
            f"llama: {folder}: expected rows of at most {prior.longest} ids, as they and the first position have to "
            f"fit the sliding window ({prior.shape.window}), got {length}; take shorter rows"
        )
    return prior
