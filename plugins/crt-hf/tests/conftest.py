"""Runs tests on one thread and checks shape annotations; a small model in a folder."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jaxtyping
import pytest
import torch

torch.set_num_threads(1)
jaxtyping.install_import_hook(["crt_hf"], "beartype.beartype")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model over 9 ids without an end id that crt-ar reads; its configuration is given, as transformers reads it."""
    from crt_ar.llama.files import write_llama
    from crt_ar.llama.spec import Llama
    from crt_hf import model

    config = SimpleNamespace(vocab_size=9, eos_token_id=None, model_type="llama", dtype=None)
    monkeypatch.setattr(model, "read_config", lambda folder: config)
    torch.manual_seed(0)
    network: Any = Llama(layers=2, width=16, heads=4, key_heads=2, hidden=24).build(9, 0, None)
    for weight in network.parameters():
        weight.data *= 4  # so that logits differ
    write_llama(tmp_path / "llama", network)
    return tmp_path / "llama"
