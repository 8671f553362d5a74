"""The trials of all decoders of a study on the same samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from crt_verify.decoding.accuracy import Score
from crt_verify.decoding.samples import Samples
from crt_verify.decoding.trial import Pair
from crtcore.kinds import Json


class Timed(NamedTuple):
    """What one sample alone took."""

    seconds: float
    ids: int


class Trials(NamedTuple):
    """The trials of all decoders on the same samples."""

    pair: Pair
    samples: Samples
    length: int
    """Ids of a continuation at most."""
    outputs: Mapping[str, Json]
    """Decoder to its trial on the samples; ancestral decoding is included."""
    timed: Mapping[str, list[Timed]]
    """Decoder to its time for each of the first samples alone, whose ids may differ from those in a batch."""
    cost: float
    """The measured time of a draft call, in target calls."""
    score: Score
    """The score of sampled ids beside the true ones."""

    def seconds_an_id(self, key: str) -> list[float]:
        """The time of a decoder for each of the first samples, over their ids."""
        return [each.seconds / each.ids for each in self.timed[key]]

    @property
    def nominal(self) -> float:
        """The cost of a draft call in target calls, by parameters."""
        target, draft = self.pair.sizes
        return draft / max(target, 1)
