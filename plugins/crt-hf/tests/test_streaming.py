"""A stream prints the text that the result holds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from crt_ar.llama.files import write_llama
from crt_ar.llama.spec import Llama
from crt_hf import model
from crt_hf.generation import generate
from crt_hf.model import Model
from crt_hf.streaming import Stream


class Letters:
    """Id 0 is a, 1 is b, and so on."""

    def decode(self, ids: list[int], *, skip_special_tokens: bool = False) -> str:
        """The letters of ids."""
        return "".join(chr(ord("a") + each) for each in ids)

    def get_vocab(self) -> dict[str, int]:
        """Nine letters."""
        return {chr(ord("a") + each): each for each in range(9)}


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model without an end id; its configuration is given, as transformers reads it."""
    config = SimpleNamespace(vocab_size=9, eos_token_id=None, model_type="llama", dtype=None)
    monkeypatch.setattr(model, "read_config", lambda folder: config)
    torch.manual_seed(0)
    network: Any = Llama(layers=2, width=16, heads=4, key_heads=2, hidden=24).build(9, 0, None)
    for weight in network.parameters():
        weight.data *= 4  # so that logits differ
    write_llama(tmp_path / "llama", network)
    return Model(tmp_path / "llama", tokenizer=Letters())


@pytest.mark.parametrize("decoder", ["ancestral", "lookup"])
@pytest.mark.parametrize("ends", [False, True])
def test_nothing_behind_a_stop_string_is_printed_or_followed(
    target: Model, decoder: str, ends: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    keywords: dict[str, Any] = {
        "do_sample": True, "top_k": 0, "max_new_tokens": 16, "decoder": decoder, "seed": 3,
    }  # fmt: skip
    prompts = [[1, 2, 3], [4, 5]]
    (whole, _) = generate(target, prompts, **keywords)
    assert whole.text is not None
    stop, stream, followed = whole.text[3:5], Stream(Letters()), list[int]()
    end = min({*range(9)} - {*whole.ids[:5]}) if ends else None

    def follow(row: int, ids: Any) -> None:
        if row == 0:
            followed.extend(ids)
            stream.follow(row, ids)

    result, _ = generate(target, prompts, stop_strings=[stop], follow=follow, eos_token_id=end, **keywords)
    stream.end(result.text or "")

    assert len(whole.ids) > len(result.ids) > 0
    assert capsys.readouterr().out == f"{result.text}\n"
    assert followed == result.ids[: len(followed)]
