"""Stages: what is trained, and the loop that trains it."""
