"""Traces of text in the ids of a model's tokenizer, whose delimiters are the three ids behind it.

Axes: b batch, n ids of a row. Id -1 means absent, only at the right end.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from crt_latent.traces import delimiters
from crt_nn.splits import check
from crt_nn.text import Text

DELIMITERS = ("<think>", "<answer>", "<end>")


class Rows:
    """Rows of three splits, each kept at its own length."""

    def __init__(self, rows: Mapping[str, Iterable[Sequence[int]]]) -> None:
        self._flat, self._ends = {}, {}
        for split, each in rows.items():
            flat, ends = array("i"), [0]
            for row in each:
                flat.extend(row)
                ends.append(len(flat))
            self._flat[split] = torch.tensor(flat, dtype=torch.int32)
            self._ends[split] = torch.tensor(ends)
        self.sizes: Mapping[str, int] = {split: len(ends) - 1 for split, ends in self._ends.items()}
        self._width = max(int(ends.diff().max()) if len(ends) > 1 else 0 for ends in self._ends.values())

    def take(self, split: str, indices: Int[Tensor, " b"]) -> Int[Tensor, "b n"]:
        """Returns rows at indices, padded with -1 to the longest row of all splits.

        Raises: ValueError if the split does not exist, IndexError if an index is out of range.
        """
        check(self.sizes, split, indices)
        flat, ends = self._flat[split], self._ends[split]
        columns = ends[indices, None] + torch.arange(self._width)  # b n
        return flat[columns.clamp(max=len(flat) - 1)].long().masked_fill(columns >= ends[indices + 1, None], -1)


def answered(emitted: list[int], vocabulary: int) -> list[int] | None:
    """Returns the ids between the first <answer> and the <end> behind it; None: there are none, or a code is inside."""
    _, answer, end = delimiters(vocabulary)
    if answer not in emitted or end not in (behind := emitted[emitted.index(answer) + 1 :]):
        return None
    given = behind[: behind.index(end)]
    return None if any(id_ >= vocabulary - len(DELIMITERS) for id_ in given) else given


def spelled(ids: Int[Tensor, " n"], text: Text) -> str:
    """Returns a row as text; ids beyond the delimiters are codes."""
    texts, run = [], list[int]()
    for id_ in [*ids[ids >= 0].tolist(), None]:
        if id_ is not None and id_ < text.vocabulary:
            run.append(id_)
            continue
        texts += [text.text(run)] if run else []
        run = []
        if id_ is not None:
            beyond = id_ - text.vocabulary
            texts.append(DELIMITERS[beyond] if beyond < len(DELIMITERS) else f"<{beyond - len(DELIMITERS)}>")
    return " ".join(texts)
