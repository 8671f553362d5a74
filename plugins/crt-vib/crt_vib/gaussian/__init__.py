"""The Gaussian bottleneck: its codes, their rate, and estimates of their information."""
