"""What is freed is kept, where the C library is glibc."""

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from crt_run.runs.memory import keep_freed
if sys.argv[1] == "kept":
    keep_freed()
tensor = torch.zeros(6_000_000, dtype=torch.float64)  # 46 MiB
for _ in range(30):  # until no small block lies in the way
    tensor * 2
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    tensor * 2
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(way: str) -> int:
    """Pages that ten products of 46 MiB were given."""
    command = [sys.executable, "-c", FAULTS, way]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone has these parameters")
def test_large_tensors_get_no_new_pages() -> None:
    pages = 48_000_000 // resource_page()

    assert faults("kept") < pages // 10
    assert faults("as it is") > pages // 10  # in pages of 2 MiB there are fewer; without this, it could not fail


def resource_page() -> int:
    """Bytes of a page."""
    import resource

    return resource.getpagesize()
