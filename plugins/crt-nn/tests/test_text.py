"""Text to ids: a tokenizer has ids for all of a text, or is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crt_nn.text import ABSENT, Text, of_words
from crtcore.errors import RunError


def of_characters(**fields: Any) -> dict[str, object]:
    """A BPE that joins a and b."""
    model = {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "?": 3}, "merges": [["a", "b"]], **fields}
    return {"version": "1.0", "added_tokens": [], "model": model}


def read(folder: Path, rules: dict[str, object]) -> Text:
    (folder / "tokenizer.json").write_text(json.dumps(rules))
    return Text(folder, "prompts")


@pytest.mark.parametrize("rules", [of_characters(), of_characters(unk_token="?")], ids=["none", "unknown"])
def test_ids_are_those_of_the_file(tmp_path: Path, rules: dict[str, object]) -> None:
    assert read(tmp_path, rules).ids(["aab", "", "ba"]) == [[0, 2], [], [1, 0]]


def test_no_character_is_left_out(tmp_path: Path) -> None:
    """A BPE without an unknown token leaves out what it lacks (findings/tokenizers-leaves-out-characters.sh)."""
    text = read(tmp_path, of_characters())

    with pytest.raises(RunError, match=r"prompts: expected .* got no ids for 'z' in 'bza'; use another tokenizer, or"):
        text.ids(["ab", "bza", "z"])


def test_what_the_tokenizer_has_for_unknown_text_is_used(tmp_path: Path) -> None:
    assert read(tmp_path, of_characters(unk_token="?")).ids(["azb"]) == [[0, 3, 1]]
    in_bytes = of_characters(byte_fallback=True, vocab={"a": 0, "b": 1, "ab": 2, "<0x7A>": 3})
    assert read(tmp_path, in_bytes).ids(["azb"]) == [[0, 3, 1]]
    with pytest.raises(RunError, match="no ids for 'y' in 'aby'"):
        read(tmp_path, in_bytes).ids(["aby"])


def test_an_error_names_the_character_of_other_models(tmp_path: Path) -> None:
    rules: Any = of_words(["a"])
    rules["model"]["unk_token"] = ABSENT

    with pytest.raises(RunError, match="no ids for 'b' in 'a b'"):
        read(tmp_path, rules).ids(["a", "a b"])
