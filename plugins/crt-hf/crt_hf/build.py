"""Builds the prior of a spec, and a small model for its laws."""

from __future__ import annotations

from pathlib import Path

import torch

from crt_hf.families import first_id
from crt_hf.folder import read_model
from crt_hf.library import quietly, transformers
from crt_hf.network import LanguageModel
from crt_hf.spec import HuggingFace
from crtcore.errors import RunError


def build(spec: HuggingFace, vocabulary: int, length: int, classes: int | None) -> LanguageModel:
    """Reads the model in a folder.

    Raises: RunError if the folder holds no model that is supported, its vocabulary is another one, or it has no first
    position for classes to take.
    """
    model = read_model(spec.folder, spec.dtype)
    known = model.config.vocab_size
    if vocabulary != known:
        raise RunError(
            f"huggingface: expected a vocabulary of {known} ids, as {spec.folder} has, got {vocabulary}; use data of "
            "that model's tokenizer"
        )
    start = first_id(model.config)
    if classes and start is None:
        raise RunError(
            f"huggingface: {spec.folder}: expected bos_token_id or eos_token_id, for classes to take its place"
        )
    return LanguageModel(model, start=start, classes=classes)


def small(folder: Path) -> str:
    """Writes a small Llama with random weights to a new folder, and returns its path."""
    llama = transformers().LlamaConfig(
        vocab_size=5,  # that of the laws
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, bos_token_id=0, eos_token_id=1, initializer_range=0.3,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]), quietly():
        torch.manual_seed(0)
        transformers().AutoModelForCausalLM.from_config(llama).save_pretrained(folder)
    return str(folder)
