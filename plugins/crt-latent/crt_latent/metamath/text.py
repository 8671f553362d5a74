"""Text to ids and back, by the `tokenizer.json` of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from crt_nn.foreign import instead
from crtcore.errors import RunError, in_one_line

NAME = "tokenizer.json"
LARGEST = 2**31 - 8
"""The largest id of a token, as traces hold ids and delimiters in 32 bits."""


class Text:
    """The tokenizer in a folder, without start ids, padding and truncation, whatever its file sets."""

    def __init__(self, folder: Path) -> None:
        self._path = path = folder / NAME
        if got := instead(path, text=True):
            raise RunError(f"metamath: expected the tokenizer of a model in {path}, got {got}")
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing narrower
            raise RunError(
                f"metamath: expected a tokenizer in {path}, got none ({in_one_line(error)}); "
                "name the folder of a model with one"
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        largest = max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        if not 0 <= largest <= LARGEST:
            got = "none" if largest < 0 else f"the id {largest}"
            raise RunError(
                f"metamath: expected tokens with ids to {LARGEST} in {path}, got {got}; use another tokenizer"
            )
        self.vocabulary: int = largest + 1
        self.content = path.read_bytes()

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns the ids of each text.

        Raises: RunError if the tokenizer has no ids for one.
        """
        try:
            return [each.ids for each in self._tokenizer.encode_batch(texts, add_special_tokens=False)]
        except Exception as error:  # tokenizers raises nothing narrower
            raise RunError(
                f"metamath: expected a tokenizer of any text in {self._path}, got {in_one_line(error)}; "
                "use another tokenizer"
            ) from error

    def text(self, ids: Sequence[int]) -> str:
        """Returns the text of ids below the vocabulary."""
        result: str = self._tokenizer.decode(list(ids), skip_special_tokens=False)
        return result
