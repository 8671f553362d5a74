"""A point of a frontier."""

from __future__ import annotations

from typing import NamedTuple


class Point(NamedTuple):
    """What is paid and what is had for it, in nats."""

    beta: float
    """Nats of distortion that one of rate is worth: minus the slope of the frontier here."""
    rate: float
    """I(X; T), the information that the bottleneck keeps of its input."""
    information: float
    """I(T; Y), what it keeps of the target; the distortion is the entropy of the target less this."""
