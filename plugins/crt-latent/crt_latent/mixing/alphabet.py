"""The alphabet of mixed traces: text, then codes, then the bracket around them."""

from __future__ import annotations

from typing import NamedTuple


class Alphabet(NamedTuple):
    """Ids below `text` are those of the text, with its delimiters at their end; K codes follow, and the bracket."""

    text: int
    codes: int

    @property
    def begin(self) -> int:
        """<boLatent>: codes follow."""
        return self.text + self.codes

    @property
    def close(self) -> int:
        """<eoLatent>: text follows."""
        return self.text + self.codes + 1

    @property
    def size(self) -> int:
        """All ids: K + 2 more than those of the text."""
        return self.text + self.codes + 2
