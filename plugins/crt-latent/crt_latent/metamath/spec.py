"""Spec of MetaMathQA, free of torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import attrs

from crtcore.kinds import DatasetSpec
from crtcore.spec import at_least

if TYPE_CHECKING:
    pass


@attrs.frozen(kw_only=True)
class MetaMath(DatasetSpec):
    """MetaMathQA as traces: a query, what leads to its answer, and what follows `The answer is:`.

    A hash of the original question says which split an entry is in, so that rephrasings of one stay together: about
    90 % to train on, 5 % for validation, 5 % for test. An entry is left out if its response gives no answer that way,
    if it has more ids than `length`, or if one before it has the same; `left_out` of the dataset says how many.
    Source: Yu et al. (2023), arXiv:2309.12284; the file MetaMathQA-395K.json.
    """

    implementation: ClassVar[str] = "crt_latent.metamath.dataset:MetaMathTraces"
    form: ClassVar[str] = "trace"

    file: str
    """A list in JSON, from where the command is given: objects with `query`, `response` and `original_question`."""
    tokenizer: str
    """The folder of a model, with its `tokenizer.json`."""
    length: int = attrs.field(default=1024, validator=at_least(8))
    """The most ids of a trace, its three delimiters included."""

    def example_in(self, folder: Path) -> MetaMath:
        """Sixty sums, and a tokenizer of words."""
        sums = [
            {
                "query": f"What is {left} plus {right}",
                "response": f"{left} and {right} make {left + right}\nThe answer is: {left + right}",
                "original_question": f"{left} + {right}",
            }
            for left in range(20)
            for right in range(3)
        ]
        words = ["[UNK]", "What", "is", "plus", "and", "make", *map(str, range(22))]
        (folder / "sums.json").write_text(json.dumps(sums))
        (folder / "tokenizer.json").write_text(json.dumps(of_words(words)))
        return attrs.evolve(self, file=str(folder / "sums.json"), tokenizer=str(folder))


def of_words(words: list[str]) -> dict[str, object]:
    """A `tokenizer.json` that parts text at spaces, the first of `words` standing for any other."""
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
