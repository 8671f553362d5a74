"""The Gaussian bottleneck: what it is, what it costs, and what it lets through."""
