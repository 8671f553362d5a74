"""Variational bottlenecks, meta-tokens, and exact frontiers."""

from crt_vib.gaussian.spec import Gaussian
from crt_vib.rate.spec import Rate, RateSquared, RateTarget

__all__ = ["Gaussian", "Rate", "RateSquared", "RateTarget"]
