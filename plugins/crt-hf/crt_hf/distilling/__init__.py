"""Small drafts that learn from the target's own text."""
