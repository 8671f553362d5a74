"""Regularizer: any further stage-1 loss, with or without parameters of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, runtime_checkable

import attrs

from crtcore.settings import Optimizer
from crtcore.spec import Spec, at_least, between

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from crtcore.kinds.tokenizer import Encoded, Tokenizer


class RegularizerOutput(NamedTuple):
    """The losses that a regulariser adds to stage 1."""

    loss: Float[Tensor, ""]
    """For the tokenizer; its gradient stays out of the regulariser's own parameters, and may be taken twice a step."""
    own_loss: Float[Tensor, ""]
    """For its own parameters alone; its gradient stays out of the tokenizer."""
    metrics: dict[str, float]
    """Numbers to record."""


@runtime_checkable
class Regularizer(Protocol):
    """A further loss of stage 1, such as how hard stage 2 will be."""

    def __call__(self, data: Tensor, encoded: Encoded, progress: float) -> RegularizerOutput:
        """The penalty of a batch, `progress` (0 to 1) of the way through training."""


@attrs.frozen(kw_only=True)
class RegularizerSpec(Spec):
    """Base of every regulariser's spec."""

    kind: ClassVar[str] = "regularizer"

    weight: float = attrs.field(default=1.0, validator=at_least(0))
    """Multiplies the loss that the tokenizer sees; 0 leaves the tokenizer bit for bit alone."""
    every: int = attrs.field(default=1, validator=at_least(1), metadata={"cosmetic": lambda own: own.every == 1})
    """Steps of which the last alone has this loss, at this many times the weight."""
    last: float = attrs.field(default=1.0, validator=between(0, 1), metadata={"cosmetic": lambda own: own.last == 1})
    """Fraction of training, at its end, that has this loss; before it nothing of the loss is computed, and its own
    parameters do not learn. The course of their step size covers this fraction alone.
    """
    optimizer: Optimizer = Optimizer()
    """The optimiser of its own parameters, if it has any."""

    def build(self, tokenizer: Tokenizer) -> Regularizer:
        """The regulariser for `tokenizer`'s codes."""
        built: Regularizer = super().build(tokenizer)
        return built
