"""Bottlenecks with learned or implied codes."""
