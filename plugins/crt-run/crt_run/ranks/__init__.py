"""Training over ranks: processes that `torchrun` starts, each with a share of every batch."""
