"""The alphabet of mixed traces: ids of the text, then codes, then the brackets around them."""

from __future__ import annotations

from typing import NamedTuple


class Alphabet(NamedTuple):
    """Ids below `text` are those of the text, with delimiters at the end; K codes and two brackets follow."""

    text: int
    codes: int

    @property
    def begin(self) -> int:
        """<boLatent>, before codes."""
        return self.text + self.codes

    @property
    def close(self) -> int:
        """<eoLatent>, behind codes."""
        return self.text + self.codes + 1

    @property
    def size(self) -> int:
        """Number of ids: K + 2 more than those of the text."""
        return self.text + self.codes + 2
