"""Stop strings end a row where those of transformers do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.generation.stopping_criteria import StopStringCriteria

from crt_hf.processors import Stopping
from crt_hf.stop_strings import stop_at

LETTERS = ["<s>", "</s>", *"abcdef", "ab", "ba", "abc", " a", "é"]
BYTES = ["<s>", "</s>", *"abcdef", "ab", "ba", "Ġa", "Ã", "©", "aÃ", "©b", "bÃ©"]
"""Of a byte-level tokenizer, where Ã and © are the two bytes of é, and Ġ is a space."""


def tokenizer(tokens: list[str], decoder: Any) -> Any:
    """A tokenizer whose text is that of its tokens in a row."""
    inner = Tokenizer(models.WordLevel({token: x for x, token in enumerate(tokens)}, unk_token="<s>"))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    inner.decoder = decoder
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token="<s>", eos_token="</s>", clean_up_tokenization_spaces=False
    )


LETTERWISE, BYTEWISE = tokenizer(LETTERS, decoders.Fuse()), tokenizer(BYTES, decoders.ByteLevel())


def ids(text: str) -> list[int]:
    """An id for each letter."""
    return [LETTERS.index(letter) for letter in text]


@pytest.mark.parametrize(("texts", "tokens"), [(LETTERWISE, LETTERS), (BYTEWISE, BYTES)], ids=["letters", "bytes"])
@given(data=st.data())
def test_rows_end_where_those_of_transformers_end(texts: Any, tokens: list[str], data: st.DataObject) -> None:
    any_ids = st.lists(st.integers(0, len(tokens) - 1), min_size=1, max_size=6)
    prompt, new = data.draw(any_ids), data.draw(any_ids)
    strings = data.draw(st.lists(st.text("abé ", min_size=1, max_size=4), min_size=1, max_size=2, unique=True))
    theirs = StopStringCriteria(texts, strings)

    end = stop_at(texts, prompt, new, strings)

    rows = (torch.tensor([prompt + new[:n]]) for n in range(1, len(new) + 1))
    assert end == next((n for n, row in enumerate(rows, 1) if theirs(row, None)), None)


@pytest.mark.parametrize(
    ("prompt", "new", "end"),
    [("cab", "cdd", 1), ("cdda", "bcd", 2), ("abc", "dde", None), ("abc", "abcd", 3), ("ab", "dc", None)],
)
def test_a_stop_string_may_begin_in_the_prompt_but_ends_behind_it(prompt: str, new: str, end: int | None) -> None:
    assert stop_at(LETTERWISE, ids(prompt), ids(new), ["abc"]) == end


def test_a_letter_may_begin_in_the_prompt() -> None:
    prompt, new = [BYTES.index("aÃ")], [BYTES.index("©b")]

    assert stop_at(BYTEWISE, prompt, new, ["é"]) == 1


def test_a_row_whose_stop_string_begins_in_the_prompt_ends() -> None:
    paths = torch.tensor([ids("abcd"), ids("abdc")])  # the first two ids are the prompt's
    logits = torch.zeros(2, len(LETTERS))

    stopped, goes_on = Stopping(LETTERWISE, ["abc"], 2, end=1)(paths, logits)

    assert stopped.isfinite().nonzero().flatten().tolist() == [1]
    assert goes_on.equal(logits[1])
