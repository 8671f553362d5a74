"""What is freed is kept, where the C library is glibc."""

import ctypes
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from crt_run.runs.memory import MMAP_THRESHOLD, TRIM_THRESHOLD, keep_freed

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
    """Where pages have 2 MiB, the ten products are given 230; without the second line, the first could not fail."""
    assert faults("kept") < 100
    assert faults("as it is") > 200


@pytest.mark.parametrize(("most", "expected"), [(2**30, 2**30), (2**25, 2**25), (0, None)])
def test_an_older_glibc_keeps_blocks_of_the_size_that_it_allows(
    monkeypatch: pytest.MonkeyPatch, most: int, expected: int | None
) -> None:
    """One that refuses every size is left as it is: a trim threshold alone would end its own choice of the other."""
    taken: dict[int, int] = {}

    def mallopt(parameter: int, value: int) -> int:
        if parameter == MMAP_THRESHOLD and value > most:
            return 0
        taken[parameter] = value
        return 1

    glibc = SimpleNamespace(mallopt=mallopt, gnu_get_libc_version=None)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: glibc)
    monkeypatch.setattr(sys, "platform", "linux")

    keep_freed()

    assert taken.get(MMAP_THRESHOLD) == expected
    assert (TRIM_THRESHOLD in taken) == (expected is not None)
