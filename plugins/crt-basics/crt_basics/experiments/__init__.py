"""The experiments `two-stage`, `drafting` and `compression`."""
