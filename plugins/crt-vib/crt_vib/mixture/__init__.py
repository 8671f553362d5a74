"""The mixture bottleneck: codes drawn from several Gaussians for each feature."""
