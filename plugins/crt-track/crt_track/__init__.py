"""Readings of runs in experiment trackers."""
