"""The entries of MetaMathQA, split into steps and answer."""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from crt_nn.foreign import instead
from crtcore.errors import RunError

MARK = "The answer is:"
_FIELDS = ("query", "response", "original_question")


class Entry(NamedTuple):
    """One problem with steps and answer."""

    query: str
    steps: str
    answer: str
    split: str


class Entries(NamedTuple):
    """The entries of a file."""

    kept: list[Entry]
    unanswered: int
    """Entries whose response has no answer."""
    checksum: str


def read_entries(path: Path) -> Entries:
    """Reads the entries of a file, in order.

    Raises: RunError if the file has another format, or no entry has an answer.
    """
    if got := instead(path, text=True):
        raise RunError(f"metamath: expected a list in JSON in {path}, got {got}")
    try:
        content = path.read_bytes()
        listed = json.loads(content, object_pairs_hook=_once, parse_constant=_no_number)
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise RunError(
            f"metamath: expected a list in JSON in {path}, got none ({reason}); name MetaMathQA's file"
        ) from error
    if not isinstance(listed, list):
        raise RunError(f"metamath: expected a list in {path}, got {_kind(listed)}; join lines of JSON to one list")
    kept = []
    for index, entry in enumerate(listed):
        query, response, question = _texts(path, index, entry)
        steps, mark, answer = response.rpartition(MARK)
        if mark and answer.strip():
            kept.append(Entry(query.strip(), steps.strip(), answer.strip(), split_of(question)))
    if not kept:
        raise RunError(f"metamath: expected responses in {path} with {MARK!r}, got none among {len(listed)}")
    return Entries(kept, len(listed) - len(kept), hashlib.sha256(content).hexdigest())


def split_of(question: str) -> str:
    """Returns the split of a question: of twenty questions, one is for validation, one for test."""
    digest = hashlib.sha256(" ".join(question.split()).encode(errors="surrogatepass")).digest()
    return {0: "validation", 1: "test"}.get(int.from_bytes(digest) % 20, "train")


class _Repeated(NamedTuple):
    """Stands for an object that has a key more than once."""

    key: str


def _once(pairs: list[tuple[str, object]]) -> dict[str, object] | _Repeated:
    entry = dict(pairs)
    if len(entry) == len(pairs):
        return entry
    counts = Counter(key for key, _ in pairs)
    return _Repeated(next(key for key in counts if counts[key] > 1))


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is no JSON")


def _texts(path: Path, index: int, entry: object) -> list[str]:
    if isinstance(entry, _Repeated):
        key = reprlib.repr(entry.key)
        raise RunError(f"metamath: {path}: entry {index}: expected each key once, got {key} again; remove one")
    texts = [entry.get(name) for name in _FIELDS] if isinstance(entry, dict) else [None] * len(_FIELDS)
    for name, text in zip(_FIELDS, texts, strict=True):
        if not isinstance(text, str):
            shown = reprlib.repr(text)
            raise RunError(f"metamath: {path}: entry {index}: expected a text {name!r}, got {shown}; correct the entry")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise RunError(
                f"metamath: {path}: entry {index}: expected Unicode in {name!r}, got half of a surrogate pair at "
                f"{error.start}; correct the entry"
            ) from error
    return [str(text) for text in texts]


def _kind(value: object) -> str:
    return "dict" if isinstance(value, _Repeated) else type(value).__name__
