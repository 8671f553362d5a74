"""Transformer parts for priors: attention, rotary positions, blocks, and sessions with a KV cache."""
