"""The study of latent reasoning: what a trace is trained as, and what answers it then finds at what length."""
