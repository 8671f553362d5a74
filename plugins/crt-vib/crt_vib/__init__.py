"""Variational bottlenecks, meta-tokens, and exact frontiers."""

from crt_vib.meta.spec import MetaTransformer

__all__ = ["MetaTransformer"]
