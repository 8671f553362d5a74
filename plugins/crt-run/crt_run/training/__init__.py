"""Training: the loop, its losses, the order of batches, the ids of a split, and what experiments share."""
