"""Traces in which codes stand for some of the steps."""
