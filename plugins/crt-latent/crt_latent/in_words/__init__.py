"""Generated tasks as text."""
