"""Every point of a study, and what they say together."""
