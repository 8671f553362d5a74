"""Kernels for processors, compiled at first use by the machine's own compiler."""
