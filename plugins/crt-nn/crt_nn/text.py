"""Text to ids and back, by the `tokenizer.json` of a model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import BPE

from crt_nn.foreign import instead
from crtcore.errors import RunError, in_one_line

NAME = "tokenizer.json"
LARGEST = 2**31 - 8
"""The largest id of a token, as ids and a few delimiters are held in 32 bits."""


ABSENT = "no token has this text"
"""The unknown token of a model that has none."""


class Text:
    """The tokenizer in a folder, without start ids, padding and truncation, whatever its file sets.

    Text that it has no tokens for is an error, never left out. Errors begin with `asker`, the name of the component
    that reads it.
    """

    def __init__(self, folder: Path, asker: str) -> None:
        self._asker, self._path = asker, folder / NAME
        path = self._path
        if got := instead(path, text=True):
            raise RunError(f"{asker}: expected the tokenizer of a model in {path}, got {got}")
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # tokenizers raises nothing narrower
            raise RunError(
                f"{asker}: expected a tokenizer in {path}, got none ({in_one_line(error)}); "
                "name the folder of a model with one"
            ) from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        _refuse_unknown(self._tokenizer)
        largest = max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        if not 0 <= largest <= LARGEST:
            got = "none" if largest < 0 else f"the id {largest}"
            raise RunError(
                f"{asker}: expected tokens with ids to {LARGEST} in {path}, got {got}; use another tokenizer"
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
                f"{self._asker}: expected a tokenizer of any text in {self._path}, got {self._reason(texts, error)}; "
                "use another tokenizer, or leave this text out"
            ) from error

    def _reason(self, texts: Sequence[str], error: Exception) -> str:
        """What `texts` have that the tokenizer has no ids for: a character if one alone shows it."""
        for character in sorted(set().union(*texts)):
            with suppress(Exception):
                self._tokenizer.encode(character, add_special_tokens=False)
                continue
            text = next(each for each in texts if character in each)
            return f"no ids for {character!a} in {text!a:.80}"
        return in_one_line(error)

    def text(self, ids: Sequence[int]) -> str:
        """Returns the text of ids below the vocabulary."""
        result: str = self._tokenizer.decode(list(ids), skip_special_tokens=False)
        return result


def _refuse_unknown(tokenizer: Tokenizer) -> None:
    """Makes a BPE raise where it has no token, as other models do; without an unknown token it leaves out characters.

    The tokenizer of SmolLM2 has none for some control characters.
    """
    model = tokenizer.model
    if isinstance(model, BPE) and model.unk_token is None:
        model.unk_token = ABSENT


def of_words(words: list[str]) -> dict[str, object]:
    """Returns a `tokenizer.json` that splits text at spaces; the first of `words` stands for unknown words."""
    return {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "model": {
            "type": "WordLevel",
            "vocab": {word: index for index, word in enumerate(words)},
            "unk_token": words[0],
        },
    }
