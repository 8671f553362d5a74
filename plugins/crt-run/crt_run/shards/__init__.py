"""Many samples in files that are written once: drawn, and scored, in pieces that an executor does."""

from crt_run.shards.draws import Draws, sample_shards

__all__ = ["Draws", "sample_shards"]
