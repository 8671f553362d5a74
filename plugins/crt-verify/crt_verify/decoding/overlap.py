"""How much of the true continuation a drawn one has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise


def overlap(drawn: Sequence[int], true: Sequence[int]) -> float:
    """ROUGE-2 on ids: the F-measure of shared pairs of neighbours, each as often as both have it.

    Source: Lin (2004), ROUGE: a package for automatic evaluation of summaries, section 2.
    """
    mine, theirs = Counter(pairwise(drawn)), Counter(pairwise(true))
    return 2 * (mine & theirs).total() / (mine.total() + theirs.total())
