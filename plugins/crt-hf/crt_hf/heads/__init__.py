"""Heads that draft from hidden states of their target, in the layout of the library speculators."""
