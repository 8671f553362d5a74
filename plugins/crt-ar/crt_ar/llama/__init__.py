"""Llama 3: its shapes, its transformer, and its files as transformers has them."""
