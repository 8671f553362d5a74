"""A stream prints the text that the result holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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
def target(folder: Path) -> Model:
    """A model without an end id."""
    return Model(folder, tokenizer=Letters())


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
