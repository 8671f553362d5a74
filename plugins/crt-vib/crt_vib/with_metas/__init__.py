"""Another dataset of ids, with meta-tokens."""
