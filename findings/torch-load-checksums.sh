#!/bin/sh
# torch.save writes a CRC-32 of every entry of its zip. Guess what torch.load does when one bit of the weights changed:
#   a) it raises, as Python's zipfile does;  b) it warns;  c) it returns the changed weights.
# It is c, with weights_only and with mmap, too. A library that loads checkpoints has to look at the checksums itself:
# zipfile.ZipFile(path).testzip() names the entry. Checksums are all 0 after torch.serialization.set_crc32_options(False).
# Usage: sh findings/torch-load-checksums.sh; it installs what it pins in a temporary folder, and fails if torch changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q torch==2.13.0 numpy==2.4.6
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import zipfile

import torch

weights = torch.arange(64.0)
torch.save({"weights": weights}, "right.pt")
raw = bytearray(open("right.pt", "rb").read())
raw[raw.index(weights.numpy().tobytes()) + 7] ^= 64  # a bit of the exponent of the second number
open("wrong.pt", "wb").write(raw)

print("zipfile:   ", zipfile.ZipFile("wrong.pt").testzip(), "is damaged")
for mmap in (False, True):
    read = torch.load("wrong.pt", weights_only=True, mmap=mmap)["weights"]
    print(f"torch.load(mmap={mmap}):", read[:3].tolist(), "for", weights[:3].tolist())
    assert not torch.equal(read, weights), "torch.load repaired it: this finding is out of date"
assert zipfile.ZipFile("wrong.pt").testzip() == "right/data/0"
PYTHON
