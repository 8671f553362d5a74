"""Many samples in files that are written once: drawn, and scored, in pieces that an executor does."""

from crt_run.shards.draws import Draws, sample_shards
from crt_run.shards.scores import Scores, score_shards

__all__ = ["Draws", "Scores", "sample_shards", "score_shards"]
