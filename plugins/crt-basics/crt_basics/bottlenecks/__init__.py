"""The bottleneck `fsq`."""
