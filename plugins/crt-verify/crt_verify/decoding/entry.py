"""A decoder of a study, by its table in a spec file; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from crt_verify.lookup.spec import Lookup, Suffix
from crt_verify.specs import TreeDecoding


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
