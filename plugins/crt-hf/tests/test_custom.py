"""Settings that ask for another way of decoding are refused by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from crt_hf.custom import custom_generate
from crtcore.errors import RunError


@pytest.mark.parametrize(
    ("name", "value"),
    [("penalty_alpha", 0.6), ("dola_layers", "high"), ("force_words_ids", [[3]]), ("output_scores", True)],
)
def test_another_way_of_decoding_is_refused(name: str, value: Any) -> None:
    config = SimpleNamespace(**{name: value})

    with pytest.raises(RunError, match=f"^custom_generate: {name}: not supported here$"):
        custom_generate(None, torch.tensor([[1]]), logits_processor=[], stopping_criteria=[], generation_config=config)
