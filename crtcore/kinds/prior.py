"""Prior: the distribution of the next id given ids and a class.

Axes: b batch, n ids of a sample, v vocabulary, w hidden width, t new positions, k committed positions.
Id -1 means absent, only at the right end of a row; class id -1 means unconditional. Other ids out of range are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

import attrs

from crtcore.spec import Spec

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

    from crtcore.noise import Noise


@runtime_checkable
class Session(Protocol):
    """A prior part-way through its sequences; all that a decoder talks to.

    Tentative nodes are numbered by column since the last commit, over all `extend`s, absent ones included. Parent -1 is
    the tip. Shapes alone decide the work: no method reads a tensor's value on the host, but to refuse it on the CPU.
    """

    next_logits: Float[Tensor, "b v"]
    """Logits after what is committed; there from `open` on."""

    def extend(self, ids: Int[Tensor, "b t"], parents: Int[Tensor, "b t"] | None = None) -> Float[Tensor, "b t v"]:
        """Adds tentative nodes and returns the logits after each.

        `parents` are columns, each smaller than the node's own. None is a chain going on from the last column; an
        absent node (id -1) stands for its parent, so that chains go on from the last id that is there. The logits of an
        absent node are finite and mean nothing.
        """

    def commit(self, path: Int[Tensor, "b k"]) -> None:
        """Makes the columns of `path` (root side first, -1 absent) permanent and drops every other tentative node."""


@runtime_checkable
class Prior(Protocol):
    """Scores sequences, and serves incremental and tree-shaped queries."""

    vocabulary: int
    """Ids run from 0 up to this."""

    def __call__(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, noise: Noise | None = None
    ) -> Float[Tensor, "b n+1 v"]:
        """Logits; row i is for id i given those before it, row n for the next id.

        Every row has a finite maximum; -inf is allowed. Rows after a row's last id mean nothing.
        `noise`, of training, has a seed for each sample; None: nothing is random.
        Raises: ValueError if an id or a class is out of range, or an id follows an absent one.
        """

    def open(
        self, ids: Int[Tensor, "b n"], class_ids: Int[Tensor, " b"] | None = None, *, capacity: int, room: int
    ) -> Session:
        """A session that has committed `ids`, for at most `capacity` committed ids a row and `room` tentative columns.

        A row that commits more has NaN logits from then on, as shapes alone cannot show it.
        Raises: ValueError if the prompt is wider than the capacity, or an id or a class is out of range.
        """


@attrs.frozen(kw_only=True)
class PriorSpec(Spec):
    """Base of every prior's spec."""

    kind: ClassVar[str] = "prior"
    pretrained: ClassVar[bool | str] = False
    """True: it brings its weights, so that no stage trains it; the name of a field: the prior there is trained."""

    def build(self, vocabulary: int, length: int, classes: int | None) -> Prior:
        """The prior over `vocabulary` ids, sequences up to `length`, and `classes` classes (None: unconditional)."""
        built: Prior = super().build(vocabulary, length, classes)
        return built
