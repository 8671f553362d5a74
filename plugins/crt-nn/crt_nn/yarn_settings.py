"""Settings of YaRN, free of torch."""

from __future__ import annotations

import attrs

from crtcore.spec import FieldError, above, at_least, between


def _slower(settings: Yarn, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 < value < settings.beta_fast:
        message = f"expected more than 0 and less than beta_fast ({settings.beta_fast}), got {value!r}"
        raise FieldError(attribute.name, message)


@attrs.frozen(kw_only=True)
class Yarn:
    """Extends rotary positions beyond the length that they were trained at.

    Source: Peng et al. (2023), arXiv:2309.00071, section 3; defaults as in jquesnelle/yarn.
    """

    scale: float = attrs.field(default=1.0, validator=at_least(1))
    """New length over original length; 1 is plain rotary positions."""
    original_length: int = attrs.field(default=2048, validator=at_least(8))
    """Positions in training before the extension."""
    extrapolation: float = attrs.field(default=1.0, validator=between(0, 1))
    """Weight of the fast pairs' own speeds; 0 slows all pairs down by the same factor."""
    attention_factor: float = attrs.field(default=1.0, validator=above(0))
    """Factor of queries and keys, on top of 1 + 0.1 ln(scale)."""
    beta_fast: float = attrs.field(default=32.0, validator=above(0))
    """Pairs that turn more often than this in the original length keep their speed."""
    beta_slow: float = attrs.field(default=1.0, validator=_slower)
    """Pairs that turn less often than this are slowed down by the scale."""
