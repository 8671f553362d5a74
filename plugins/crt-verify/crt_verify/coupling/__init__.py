"""Decoders whose draft and output share their randomness, or whose drafts are earlier outputs."""
