"""The experiments `two-stage` and `compression`."""
