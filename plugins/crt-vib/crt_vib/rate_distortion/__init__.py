"""The rate-distortion study: how well a language model's state predicts an answer at each rate."""
