import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crt_latent.metamath.dataset import MetaMathTraces
from crt_latent.metamath.entries import Entries, read_entries, split_of
from crt_latent.metamath.spec import MetaMath
from crt_nn.text import of_words
from crtcore.errors import RunError

GOOD = {"query": "What is 1 plus 1", "response": "2\nThe answer is: 2", "original_question": "1 + 1"}
FIELDS = st.sampled_from([*GOOD, "type"])
TEXTS = st.text(st.characters(), max_size=8) | st.sampled_from(["The answer is: 2", "The answer is:"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | TEXTS, inner, max_size=4),
    max_leaves=12,
)
ENTRIES = st.dictionaries(FIELDS, TEXTS, max_size=4).map(lambda changes: GOOD | changes) | VALUES


def read(content: bytes) -> Entries:
    with TemporaryDirectory() as folder:
        path = Path(folder, "metamath.json")
        path.write_bytes(content)
        try:
            return read_entries(path)
        except RunError as error:
            message = str(error)
            assert str(path) in message
            assert len(message.replace(str(path), "")) < 400
            assert message.isprintable()
            raise


def expected(value: Any) -> list[tuple[str, str, str]] | None:
    """What a file with `value` holds; None if it is no list of entries, or none has an answer."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return None
    kept = []
    for each in value:
        texts = [each.get(name) for name in GOOD]
        if not all(isinstance(text, str) and text.encode(errors="ignore").decode() == text for text in texts):
            return None
        query, response, question = texts
        steps, mark, answer = response.rpartition("The answer is:")
        if mark and answer.strip():
            kept.append((query.strip(), steps.strip(), answer.strip(), split_of(question)))
    return kept or None


@settings(deadline=None)
@given(value=st.lists(ENTRIES, max_size=3) | VALUES)
@example(value=[GOOD, GOOD | {"query": "\ud800"}])
@example(value=[GOOD, GOOD | {"query": [0] * 10**5}])
@example(value=[GOOD, GOOD | {"response": "x" * 10**5}])
def test_a_file_of_any_json_is_read_or_refused_with_one_error(value: Any) -> None:
    content = json.dumps(value)
    try:
        json.dumps(value, allow_nan=False)
        right = expected(json.loads(content))
    except ValueError:
        right = None

    try:
        kept = [tuple(each) for each in read(content.encode()).kept]
    except RunError:
        kept = None

    assert kept == right


@settings(deadline=None)
@given(content=st.binary(max_size=60))
@example(content=b"")
@example(content=b"[" * 100_000)
@example(content=b'[{"query":' * 100_000)
@example(content=b"[" + b"9" * 5000 + b"]")
@example(content=b"[1e999, -1e999]")
@example(content=b"[NaN]")
@example(content=b"\xff\xfe[\x00]\x00")
@example(content=b'["\xff"]')
@example(content=b'{"query": "a"}\n{"query": "b"}')
@example(content=b"<html></html>")
def test_a_file_without_entries_is_refused_with_one_error(content: bytes) -> None:
    with pytest.raises(RunError, match="metamath: "):
        read(content)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('{"query": "a", "query": "b"}', r"entry 1: expected each key once, got 'query' again; remove one"),
        ('{"query": NaN}', r"got none \(NaN is no JSON\); name MetaMathQA's file"),
        ('{"query": 1e999}', r"entry 1: expected a text 'query', got inf; correct the entry"),
        (f'{{"query": {[0] * 1000}}}', r"entry 1: expected a text 'query', got \[0, 0, 0, 0, 0, 0, \.\.\.\]; correct"),
        ('"a"', r"entry 1: expected a text 'query', got None; correct the entry"),
        (
            json.dumps(GOOD | {"response": "a\udfff"}),
            r"entry 1: expected Unicode in 'response', got half of a surrogate",
        ),
        ("[" * 100_000, r"expected a list in JSON in .*, got none \(.*recursion.*\); name MetaMathQA's file"),
    ],
    ids=["repeated-key", "nan", "infinite", "long", "no-object", "surrogate", "deep"],
)
def test_an_entry_that_is_wrong_is_named_by_its_number(entry: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        read(f"[{json.dumps(GOOD)}, {entry}]".encode())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_file_in_an_encoding_of_json_is_read(encoding: str) -> None:
    (entry,) = read(json.dumps([GOOD | {"query": "√2"}], ensure_ascii=False).encode(encoding)).kept

    assert entry[:3] == ("√2", "2", "2")


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    for path in (tmp_path, tmp_path / "pipe", tmp_path / "absent", Path("/dev/zero")):
        with pytest.raises(RunError, match=r"expected a list in JSON in .*, got (a folder|no \w+ file); (name|put)"):
            read_entries(path)


@pytest.mark.parametrize(
    ("vocabulary", "unknown", "message"),
    [
        ({}, "a", r"expected tokens with ids to \d+ in .*tokenizer.json, got none"),
        ({"a": 2**31 - 1}, "a", r"expected tokens with ids to \d+ in .*tokenizer.json, got the id 2147483647"),
        ({"a": 0}, "b", r"expected a tokenizer of any text in .*tokenizer.json, got .*; use another tokenizer"),
    ],
    ids=["empty", "large", "no-unknown"],
)
def test_a_tokenizer_that_cannot_give_ids_is_refused(
    tmp_path: Path, vocabulary: dict[str, int], unknown: str, message: str
) -> None:
    rules: Any = of_words(["a"])
    rules["model"] |= {"vocab": vocabulary, "unk_token": unknown}
    (tmp_path / "tokenizer.json").write_text(json.dumps(rules))
    (tmp_path / "metamath.json").write_text(json.dumps([GOOD]))

    with pytest.raises(RunError, match=message):
        MetaMathTraces(MetaMath(file=str(tmp_path / "metamath.json"), tokenizer=str(tmp_path)))
