"""Memory that tensors free, kept for those that come next."""

from __future__ import annotations

import ctypes
import sys

MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
"""Parameters of glibc's `mallopt`."""
LARGEST = (2**30, 2**25)
"""Bytes of the largest block that is kept; glibc before 2.35 refuses more than the second."""


def keep_freed() -> None:
    """Lets glibc keep freed blocks of up to 1 GiB in this process; elsewhere nothing changes.

    Before 2.35 it keeps those of up to 32 MiB. By itself it returns blocks of more than 32 MiB, and the system fills
    the pages of the next one with zeros. Twice a tensor of 47 MiB then takes 38 ms instead of 8.
    Memory: the process keeps the most that it has used.
    """
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        for largest in LARGEST:
            if library.mallopt(MMAP_THRESHOLD, largest):
                library.mallopt(TRIM_THRESHOLD, 2**31 - 1)
                return
