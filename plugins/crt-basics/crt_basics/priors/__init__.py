"""Priors."""
