"""Reasoning in latent tokens."""
