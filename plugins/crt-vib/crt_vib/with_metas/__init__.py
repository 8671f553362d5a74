"""A wrapper that adds meta-tokens to a dataset of ids."""
