"""Objectives that put a price on the rate."""
