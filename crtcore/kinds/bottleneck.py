"""Bottleneck: features to codes that cost a stated number of nats.

Axes: b batch, n features of a sample, w feature width, k codes of a sample, d code width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, runtime_checkable

import attrs

from crtcore.spec import Spec

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

    from crtcore.noise import Noise


class BottleneckOutput(NamedTuple):
    """Codes, and what they cost."""

    codes: Float[Tensor, "b k d"]
    """Carry the gradient."""
    latents: Float[Tensor, "b k d"]
    """Features in the space of the codes, before quantisation."""
    ids: Int[Tensor, "b k"] | None
    """None if the codes are continuous."""
    rate: Float[Tensor, " b"]
    """Nats that a sample's codes cost."""
    loss: Float[Tensor, ""]
    """The bottleneck's own training loss."""


@runtime_checkable
class Bottleneck(Protocol):
    """Lets less information through than it is given."""

    @property
    def width(self) -> int:
        """w, the feature width it takes."""

    @property
    def vocabulary(self) -> int | None:
        """Ids run from 0 up to this; None for continuous codes."""

    def __call__(self, features: Float[Tensor, "b n w"], *, noise: Noise | None = None) -> BottleneckOutput:
        """The codes of `features` and what they cost; `noise` has a seed for each sample, None: nothing is random.

        Raises: ValueError if a feature is NaN or infinite.
        """


@runtime_checkable
class DiscreteBottleneck(Bottleneck, Protocol):
    """A bottleneck whose codes have ids."""

    @property
    def vocabulary(self) -> int:
        """Ids run from 0 up to this."""

    def lookup(self, ids: Int[Tensor, "b k"]) -> Float[Tensor, "b k d"]:
        """The codes that `ids` name.

        Raises: ValueError if an id is absent or out of range.
        """


@attrs.frozen(kw_only=True)
class BottleneckSpec(Spec):
    """Base of every bottleneck's spec."""

    kind: ClassVar[str] = "bottleneck"
    continuous: ClassVar[bool] = False
    """True: its codes have no ids."""

    def build(self) -> Bottleneck:
        """The bottleneck, with first values from torch's generator."""
        built: Bottleneck = super().build()
        return built
