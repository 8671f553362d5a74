"""How much a sampled continuation has in common with the true one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise


def overlap(sampled: Sequence[int], true: Sequence[int]) -> float:
    """ROUGE-2 on ids: the F-measure of common pairs of neighbours, with multiplicity.

    Source: Lin (2004), ROUGE: a package for automatic evaluation of summaries, section 2.
    """
    mine, theirs = Counter(pairwise(sampled)), Counter(pairwise(true))
    return 2 * (mine & theirs).total() / (mine.total() + theirs.total())
