"""A plan run in its folder: checkpoints, records, and what made the result."""
