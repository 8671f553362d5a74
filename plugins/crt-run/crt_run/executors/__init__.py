"""Where the points of a study run."""
