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
"""Symbols that name lists."""


@attrs.frozen(kw_only=True)
class KnownJoint(DatasetSpec):
    """Base of datasets of ids for which the joint distribution of the last id and what predicts it is known.

    The built dataset has `cases(ids)`, which maps ids b n without the last one to the case x of each row.
    """

    form: ClassVar[str] = "ids"

    @abc.abstractmethod
    def joint(self) -> Float64[np.ndarray, "x y"]:
        """The joint distribution of the case (x), on which alone the last id depends, and the last id (y)."""


@attrs.frozen(kw_only=True)
class Lists(KnownJoint):
    """Named lists, then a name and a place; the last id is the item that the list of that name has there.

    A row is `name item .. item, name item .. item, .., ? name place, answer`, with META before the answer if
    `meta` asks for it. META is always the last id of the vocabulary. Only the answer has a loss weight, as all else is
    random. No lists with their question are in two splits, not even up to a cyclic shift of all symbols; answers are
    uniform over the symbols in each split.
    """

    implementation: ClassVar[str] = "crt_vib.lists.dataset:NamedLists"
    marked: ClassVar[bool] = True

    lists: int = attrs.field(default=5, validator=between(2, NAMES))
    """Lists of a row, each with a different name."""
    items: int = attrs.field(default=1, validator=at_least(1))
    """Items of a list."""
    symbols: int = attrs.field(default=16, validator=at_least(2))
    """Symbols that an item can be, all equally likely."""
    noise: float = attrs.field(default=0.0, validator=between(0, 1))
    """Probability that an answer is replaced by a uniform symbol, the correct one included."""
    meta: Literal["none", "final", "mixed"] = "none"
    """Whether META precedes the answer: in no row, in every row, or in every second one."""
    train: int = attrs.field(default=200_000, validator=at_least(1))
    """Rows to train on."""
    validation: int = attrs.field(default=10_000, validator=at_least(1))
    """Rows held out for validation."""
    test: int = attrs.field(default=20_000, validator=at_least(1))
    """Rows held out for the final numbers."""
    seed: int = 0
    """Seed of the rows; the run's seed does not change them."""

    @property
    def vocabulary(self) -> int:
        """Symbols, names, the question mark, places, META."""
        return self.symbols + NAMES + 1 + self.items + 1

    def joint(self) -> Float64[np.ndarray, "x y"]:
        """The joint distribution of the item that is asked for and the answer."""
        from crt_vib.frontiers.pointer import noisy_pointer

        return noisy_pointer(self.symbols, self.noise)
