"""A weight that rises in training, free of torch."""

from __future__ import annotations

import attrs

from crtcore.kinds import RegularizerSpec
from crtcore.spec import between


@attrs.frozen(kw_only=True)
class RisingSpec(RegularizerSpec):
    """Base of the regularisers whose own network learns from the first step, and the tokenizer by a rising weight."""

    start: float = attrs.field(default=0.0, validator=between(0, 1))
    """Fraction of training during which the tokenizer gets no gradient; the network learns from the first step."""
    ramp: float = attrs.field(default=0.05, validator=between(0, 1))
    """Fraction of training over which the weight then rises linearly from 0."""

    def rise(self, progress: float) -> float:
        """The factor of the weight at `progress`, from 0 to 1."""
        start = max(self.start, 1 - self.last)
        if progress < start:
            return 0.0
        return min((progress - start) / self.ramp, 1.0) if self.ramp else 1.0
