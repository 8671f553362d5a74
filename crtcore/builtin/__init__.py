"""The smallest component of each kind, so that every plugin can be tried alone."""
