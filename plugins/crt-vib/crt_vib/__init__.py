"""Variational bottlenecks, meta-tokens, and exact frontiers."""

from crt_vib.gaussian.spec import Gaussian
from crt_vib.lists.spec import Lists
from crt_vib.meta.spec import MetaTransformer
from crt_vib.mixture.spec import Mixture
from crt_vib.rate.spec import Rate, RateSquared, RateTarget
from crt_vib.rate_distortion.spec import RateDistortion
from crt_vib.state_codes.spec import StateCodes

__all__ = [
    "Gaussian",
    "Lists",
    "MetaTransformer",
    "Mixture",
    "Rate",
    "RateDistortion",
    "RateSquared",
    "RateTarget",
    "StateCodes",
]
