#!/bin/sh
# A PNG may have 16 bits of grey; a viewer shows 40000 of 65535 as 156 of 255. Guess what webdataset's decode("pilrgb")
# makes of such a member of a shard:
#   a) 156, the upper 8 bits or a division by 257;  b) an error;  c) white.
# It is c: Pillow's convert("RGB") clips each level to 255, so that all but the darkest 256 of 65,536 levels are white.
# Depth maps and medical images lose everything, without a word. `image-shards` here divides by 257, as viewers do.
# Usage: sh findings/webdataset-shows-16-bit-greys-white.sh; it installs what it pins in a temporary folder, and fails
# if webdataset or Pillow changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q webdataset==1.0.2 pillow==13.0.0 numpy==2.4.6 torch==2.13.0
cd "$place"
"$place/venv/bin/python" - <<'PYTHON'
import io
import tarfile

import numpy as np
import webdataset
from PIL import Image

levels = np.array([[0, 200, 400, 40_000, 65_535]], np.uint16)
file = io.BytesIO()
Image.fromarray(levels).save(file, "PNG")
with tarfile.open("one.tar", "w") as shard:
    member = tarfile.TarInfo("grey.png")
    member.size = len(file.getvalue())
    shard.addfile(member, io.BytesIO(file.getvalue()))

(sample,) = webdataset.WebDataset("one.tar", shardshuffle=False).decode("pilrgb")
shown = np.asarray(sample["png"])[0, :, 0]
right = ((levels[0].astype(int) + 128) // 257).tolist()
print("levels in the file:    ", levels[0].tolist())
print("of 255, as viewers do: ", right)
print("webdataset:            ", shown.tolist())
assert shown.tolist() == [0, 200, 255, 255, 255], "webdataset or Pillow changed: this finding is out of date"
PYTHON
