"""A point of a frontier."""

from __future__ import annotations

from typing import NamedTuple


class Point(NamedTuple):
    """Rate and information, in nats."""

    beta: float
    """Price of a nat of rate in nats of distortion: minus the slope of the frontier here."""
    rate: float
    """I(X; T), the information of the code about the input."""
    information: float
    """I(T; Y), that about the target; the distortion is the entropy of the target less this."""
