"""Text to ids and back, by the `tokenizer.json` of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from crtcore.errors import RunError, in_one_line

NAME = "tokenizer.json"


class Text:
    """The tokenizer in a folder, without start ids, padding and truncation, whatever its file sets."""

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing narrower
            raise RunError(
                f"metamath: expected a tokenizer in {path}, got none ({in_one_line(error)}); "
                "name the folder of a model with one"
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.vocabulary: int = max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        self.content = path.read_bytes()

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each text."""
        return [each.ids for each in self._tokenizer.encode_batch(texts, add_special_tokens=False)]

    def text(self, ids: Sequence[int]) -> str:
        """Returns the text of ids below the vocabulary."""
        result: str = self._tokenizer.decode(list(ids), skip_special_tokens=False)
        return result
