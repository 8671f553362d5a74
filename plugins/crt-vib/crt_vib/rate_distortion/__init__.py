"""The rate-distortion study: what a language model's state tells of the answer, by the nats it may cost."""
