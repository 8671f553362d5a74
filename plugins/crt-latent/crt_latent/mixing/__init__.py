"""Traces with codes in place of some of the steps."""
