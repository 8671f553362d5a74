"""Variational bottlenecks, meta-tokens, and exact frontiers."""
