"""Variational bottlenecks, meta-tokens, and exact frontiers."""

from crt_vib.gaussian.spec import Gaussian
from crt_vib.lists.spec import Lists
from crt_vib.meta.spec import MetaTransformer
from crt_vib.rate.spec import Rate, RateSquared, RateTarget
from crt_vib.rate_distortion.spec import RateDistortion

__all__ = ["Gaussian", "Lists", "MetaTransformer", "Rate", "RateDistortion", "RateSquared", "RateTarget"]
