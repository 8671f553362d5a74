"""Spec of the lists, free of torch."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar, Literal

import attrs

from crtcore.kinds import DatasetSpec
from crtcore.spec import at_least, between

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float64

NAMES = 8
"""Symbols that lists are called by."""


@attrs.frozen(kw_only=True)
class Foretold(DatasetSpec):
    """Base of datasets of ids where it is known how well the last one can be foretold.

    What such a spec builds says by `cases(ids)`, of ids b n without the last one, which x of the law each row is.
    """

    form: ClassVar[str] = "ids"

    @abc.abstractmethod
    def joint(self) -> Float64[np.ndarray, "x y"]:
        """The joint law of all that the other ids say of the last one (x), and of that one (y)."""


@attrs.frozen(kw_only=True)
class Lists(Foretold):
    """Named lists, then a name and a place; the last id is the item that the list of that name has there.

    A row is `name item .. item, name item .. item, .., ? name place, answer`, META before the answer where it is asked
    for. META is the last id of the vocabulary, whether it is met or not. Loss falls on the answer alone, as all else is
    drawn at random. No lists with their question are in two splits, not even with all symbols moved on alike, so that
    answers stay even over the symbols in each.
    """

    implementation: ClassVar[str] = "crt_vib.lists.dataset:NamedLists"
    marked: ClassVar[bool] = True

    lists: int = attrs.field(default=5, validator=between(2, NAMES))
    """Lists of a row, each of a name of its own."""
    items: int = attrs.field(default=1, validator=at_least(1))
    """Items of a list."""
    symbols: int = attrs.field(default=16, validator=at_least(2))
    """Symbols that an item can be; each is as likely as another."""
    noise: float = attrs.field(default=0.0, validator=between(0, 1))
    """Share of the answers that are replaced by any symbol, the right one among them."""
    meta: Literal["none", "final", "mixed"] = "none"
    """Whether META stands before the answer: in no row, in every row, or in every second one."""
    train: int = attrs.field(default=200_000, validator=at_least(1))
    """Rows to train on."""
    validation: int = attrs.field(default=10_000, validator=at_least(1))
    """Rows held out for choices."""
    test: int = attrs.field(default=20_000, validator=at_least(1))
    """Rows held out for the final numbers."""
    seed: int = 0
    """Other rows for another one; the run's own seed changes none."""

    @property
    def vocabulary(self) -> int:
        """Symbols, names, the question mark, places, META."""
        return self.symbols + NAMES + 1 + self.items + 1

    def joint(self) -> Float64[np.ndarray, "x y"]:
        """The item that is asked for, and the answer."""
        from crt_vib.frontiers.pointer import noisy_pointer

        return noisy_pointer(self.symbols, self.noise)
