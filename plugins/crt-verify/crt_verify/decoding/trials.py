"""Decoders of a study, and their trials on the same samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from crt_verify.decoding.accuracy import Score
from crt_verify.decoding.samples import Samples
from crt_verify.decoding.trial import Pair
from crt_verify.lookup.spec import Lookup, Suffix
from crt_verify.specs import TreeDecoding
from crtcore.kinds import Json


class Entry(NamedTuple):
    """A decoder of the study."""

    name: str
    """That of the component; a tree that branches late has one of its own, as `traversal-delayed`."""
    fields: Mapping[str, Any]
    spec: TreeDecoding | Lookup | Suffix

    @classmethod
    def of(cls, table: Mapping[str, Any], spec: TreeDecoding | Lookup | Suffix) -> Entry:
        """The decoder of a table in a spec file."""
        fields = {name: value for name, value in table.items() if name not in ("use", "verification")}
        branching = fields.get("branching", [0])
        late = branching[0] == 1 and max(branching) > 1
        return cls(f"{table['use']}-delayed" if late else table["use"], fields, spec)

    @property
    def budget(self) -> int:
        """Drafted ids that the target verifies in a call, at most."""
        return self.spec.drafter.nodes - 1 if isinstance(self.spec, TreeDecoding) else self.spec.nodes

    @property
    def levels(self) -> int:
        """Draft calls of a round, one after another; 0 where no model drafts."""
        return len(self.spec.drafter.widths) if isinstance(self.spec, TreeDecoding) else 0

    @property
    def structure(self) -> str:
        """Fields and values, as `paths=5 length=6`."""
        shown = {k: ",".join(map(str, v)) if isinstance(v, list | tuple) else v for k, v in self.fields.items()}
        return " ".join(f"{name}={value}" for name, value in shown.items())

    @property
    def key(self) -> str:
        """Name and structure."""
        return f"{self.name} {self.structure}"


class Trials(NamedTuple):
    """The trials of all decoders on the same samples."""

    pair: Pair
    samples: Samples
    length: int
    """Ids of a continuation at most."""
    outputs: Mapping[str, Json]
    """Decoder to its trial on the samples; ancestral decoding is included."""
    seconds: Mapping[str, list[float]]
    """Decoder to its time for each of the first samples alone."""
    cost: float
    """The measured time of a draft call, in target calls."""
    score: Score
    """The score of sampled ids beside the true ones."""

    def seconds_an_id(self, key: str) -> list[float]:
        """The time of a decoder for each of the first samples, over their ids."""
        rows = self.outputs[key]["ids"]
        return [seconds / len(row) for seconds, row in zip(self.seconds[key], rows, strict=False)]

    @property
    def nominal(self) -> float:
        """The cost of a draft call in target calls, by parameters."""
        target, draft = self.pair.sizes
        return draft / max(target, 1)
