"""How much a sampled continuation has in common with the true one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import Any, Literal, TypeAlias

from crtcore.errors import RunError

Score: TypeAlias = Callable[[list[int], list[int]], float]


def scorer(accuracy: Literal["pairs", "rouge2", "bleu"], dataset: Any) -> Score:
    """The score of sampled ids beside the true ones; ROUGE-2 and BLEU are of the texts that `dataset` reads them as.

    Raises: RunError if BLEU is asked for, and sacrebleu is not installed.
    """
    if accuracy == "pairs":
        return overlap
    text: Callable[[list[int]], str] = dataset.text
    if accuracy == "rouge2":
        return lambda mine, true: overlap(words(text(mine)), words(text(true)))
    try:
        from sacrebleu import sentence_bleu
    except ModuleNotFoundError as error:
        raise RunError(f"decoding: BLEU needs {error.name}: pip install crt-verify[text]") from None
    return lambda mine, true: float(sentence_bleu(text(mine), [text(true)]).score) / 100


def overlap(sampled: Sequence[Hashable], true: Sequence[Hashable]) -> float:
    """ROUGE-2: the F-measure of common pairs of neighbours, with multiplicity; 0 where neither has a pair.

    Source: Lin (2004), ROUGE: a package for automatic evaluation of summaries, section 2.
    """
    mine, theirs = Counter(pairwise(sampled)), Counter(pairwise(true))
    return 2 * (mine & theirs).total() / max(mine.total() + theirs.total(), 1)


def words(text: str) -> list[str]:
    """Words as Google's rouge_score splits a text without stemming: runs of a-z and 0-9, in lower case."""
    return re.findall(r"[a-z0-9]+", text.lower())
