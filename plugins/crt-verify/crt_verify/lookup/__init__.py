"""Drafts read from the text itself: what followed earlier, edits that are repeated, and the decoder that tries them."""
