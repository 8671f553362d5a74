"""Exact frontiers that no bottleneck can beat, in float64 and without sampling."""
