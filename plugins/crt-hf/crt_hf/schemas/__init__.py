"""JSON schemas, and what xgrammar ignores of them."""
