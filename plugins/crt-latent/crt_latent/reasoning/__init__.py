"""The study of latent reasoning: accuracy and length of answers, by the form of traces in training."""
