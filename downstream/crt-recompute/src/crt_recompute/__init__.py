"""A decoder that reads whole rows and needs no session."""
