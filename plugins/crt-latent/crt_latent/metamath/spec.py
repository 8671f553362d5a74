"""Spec of MetaMathQA, free of torch."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import attrs

from crtcore.kinds import DatasetSpec
from crtcore.spec import FILES, at_least, resolve


@attrs.frozen(kw_only=True)
class MetaMath(DatasetSpec):
    """MetaMathQA as traces: a query, what leads to its answer, and what follows `The answer is:`.

    A hash of the original question determines the split of an entry, so that rephrasings stay together: about 90 % for
    training, 5 % for validation, 5 % for test. An entry is left out if its response has no such answer, if it has more
    than `length` ids, or if it repeats an earlier one; `left_out` of the dataset counts them.
    Source: Yu et al. (2023), arXiv:2309.12284; the file MetaMathQA-395K.json.
    """

    implementation: ClassVar[str] = "crt_latent.metamath.dataset:MetaMathTraces"
    form: ClassVar[str] = "trace"

    file: str = attrs.field(metadata=FILES)
    """Path of a JSON list of objects with `query`, `response` and `original_question`."""
    tokenizer: str = attrs.field(metadata=FILES)
    """Folder of a model with a `tokenizer.json`."""
    length: int = attrs.field(default=1024, validator=at_least(8))
    """The most ids of a trace, its three delimiters included."""

    def example_in(self, folder: Path) -> MetaMath:
        """Returns the spec with sixty sums and a word tokenizer written to `folder`."""
        import json

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
        (folder / "tokenizer.json").write_text(json.dumps(resolve("crt_nn.text:of_words")(words)))
        return attrs.evolve(self, file=str(folder / "sums.json"), tokenizer=str(folder))
