"""Finished runs as objects: their trained parts, samples, numbers, and the layout in which they are shared."""
