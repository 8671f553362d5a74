"""The smallest component of each kind, and the two-stage experiment that puts them together."""
