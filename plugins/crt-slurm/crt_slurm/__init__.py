"""The executor `slurm`: the points of a study as jobs of a Slurm cluster."""
