"""The prior `causal-head`."""
