#!/bin/sh
# The same tensors with the same metadata are written twice by safetensors. Guess whether the two files are equal:
#   a) always;  b) always in one process, and not between processes;  c) only where metadata have at most one entry.
# It is c: entries are written in a random order, new for each call, whatever PYTHONHASHSEED is. With two entries about
# half of all pairs of files differ; tensors are ordered, by type and name. transformers writes one entry, {"format":
# "pt"}, so that its files are equal. Whoever adds another one, and addresses, signs or compares files by a hash, has to
# hash tensors and sorted metadata, or write the header again.
# Usage: sh findings/safetensors-shuffles-metadata.sh; it installs what it pins in a temporary folder, and fails if
# safetensors changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q safetensors==0.8.0 numpy==2.4.6
cd "$place"
PYTHONHASHSEED=0 "$place/venv/bin/python" - <<'PYTHON'
import json

import numpy
from safetensors.numpy import load, save

CALLS = 64
tensors = {"b": numpy.zeros(3, numpy.float32), "a": numpy.ones(2, numpy.float32)}


def header(content: bytes) -> str:
    return content[8 : 8 + int.from_bytes(content[:8], "little")].decode()


for entries in (0, 1, 2, 6):
    metadata = {f"key{number}": str(number) for number in range(entries)} or None
    files = {save(tensors, metadata) for _ in range(CALLS)}
    print(f"{entries} entries of metadata: {len(files)} different files in {CALLS} calls")
    assert (len(files) > 1) == (entries > 1), "safetensors orders its metadata: this finding is out of date"
    assert len({json.dumps(json.loads(header(each)), sort_keys=True) for each in files}) == 1  # but for the order
    assert len({repr(sorted((k, v.tobytes()) for k, v in load(each).items())) for each in files}) == 1
for each in sorted(files)[:2]:
    print("  ", header(each)[:84], "...")
PYTHON
