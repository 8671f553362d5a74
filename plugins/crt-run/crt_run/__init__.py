"""The engine of crtcore: runs, checkpoints, training, sweeps and executors."""
