"""Runs of a plan in a folder: checkpoints, records, results and their provenance."""
