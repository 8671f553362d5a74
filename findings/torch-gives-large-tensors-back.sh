#!/bin/sh
# Doubles a float64 tensor of 16 and of 46 MiB in torch on a processor, a hundred times, each result freed before the next
# one. Guess: after a few, the memory of a freed result serves the next, whatever its size, as it does on a GPU, where
# torch keeps what is freed.
# Of 16 MiB it does: no page of the hundred results is new. Of 46 MiB each result has all of its pages new, which the
# system fills with zeros: glibc gives blocks of more than 32 MiB back at once, and torch keeps nothing on a processor.
# After glibc's mallopt with a threshold of 1 GiB they are kept too, and a product takes a fraction of the time.
# Usage: sh findings/torch-gives-large-tensors-back.sh; it installs what it pins in a temporary folder, needs glibc, and
# fails if that changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q torch==2.13.0 numpy==2.4.6
cat > "$place/double.py" <<'PYTHON'
import ctypes
import platform
import resource
import sys
import time

import torch

size, kept = int(sys.argv[1]), sys.argv[2] == "kept"
if kept:
    ctypes.CDLL(None).mallopt(-3, 2**30)  # M_MMAP_THRESHOLD
    ctypes.CDLL(None).mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
torch.set_num_threads(1)
tensor = torch.zeros(size * 2**20 // 8, dtype=torch.float64)
for _ in range(50):
    tensor * 2
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.process_time()
for _ in range(100):
    tensor * 2
took = (time.process_time() - began) * 10
pages = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 100
print(f"torch {torch.__version__}, glibc {platform.libc_ver()[1]}, {size} MiB{', kept' * kept}:",
      f"{pages:.0f} new pages and {took:.1f} ms a product")
assert (pages >= 20) == (size > 32 and not kept), "torch or glibc changed: this finding is out of date"
PYTHON
for way in "16 plain" "46 plain" "46 kept"; do
    # shellcheck disable=SC2086  # a size and a way
    "$place/venv/bin/python" "$place/double.py" $way
done
