"""Variational bottlenecks, meta-tokens, and exact frontiers."""

from crt_vib.gaussian.spec import Gaussian
from crt_vib.meta.spec import MetaTransformer
from crt_vib.rate.spec import Rate, RateSquared, RateTarget

__all__ = ["Gaussian", "MetaTransformer", "Rate", "RateSquared", "RateTarget"]
