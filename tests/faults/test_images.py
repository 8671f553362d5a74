"""Damaged files of images: one error with the file's name, or the pixels of a valid image."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from crt_data.pictures import paint, paint_many
from crt_data.specs import ImageFolder
from crtcore.errors import RunError

EXIF = Image.Exif()
EXIF[0x0112] = 6  # to be turned
KINDS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    *(("PNG", mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    ("PNG", "RGB", {"exif": EXIF, "compress_level": 0}),
    ("JPEG", "RGB", {"exif": EXIF}),
    ("JPEG", "L", {"progressive": True}),
    ("JPEG", "CMYK", {}),
    ("WEBP", "RGB", {"exif": EXIF}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("GIF", "P", {}),
    ("BMP", "RGB", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "I;16", {"exif": EXIF}),
    ("TIFF", "L", {"compression": "tiff_adobe_deflate"}),
    ("PPM", "RGB", {}),
)
DAMAGES = ("flip", "zeros", "noise", "cut", "lost", "empty", "text", "header", "more")
INSIDE = ("flip", "zeros", "noise", "lost")
"""Damages that may leave another valid image in a format without checksums, with the end of the file in its place."""


def written(kind: tuple[str, str, dict[str, Any]]) -> bytes:
    """A file with an image of 32 by 24."""
    form, mode, options = kind
    levels = np.random.default_rng(0).integers(256, size=(24, 32, 4), dtype=np.uint8)
    image = Image.fromarray(levels.view(np.uint16)[..., 0].copy() if mode == "I;16" else levels)
    if mode != "I;16":
        image = image.convert("RGB").convert(mode) if mode in ("1", "P", "CMYK") else image.convert(mode)
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def damaged(content: bytes, damage: str, draw: random.Random) -> bytes:
    """The file with one damage."""
    start, length = draw.randrange(len(content)), 2 ** draw.randrange(8)
    end = min(start + length, len(content))
    flipped = bytearray(content)
    for _ in range(2 ** draw.randrange(4)):
        flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return {
        "flip": bytes(flipped),
        "zeros": content[:start] + bytes(end - start) + content[end:],
        "noise": content[:start] + draw.randbytes(end - start) + content[end:],
        "cut": content[:start],
        "lost": content[:start] + content[end:],
        "empty": b"",
        "text": draw.choice((b"404: Not Found\n", b"<!DOCTYPE html><html></html>", b"version https://git-lfs\n")),
        "header": draw.randbytes(draw.randrange(1, 16)) + content[8:],
        "more": content + draw.randbytes(length),
    }[damage]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose first image of the test split is `val/ape/0000.png`."""
    made = tmp_path_factory.mktemp("images")
    paint_many(made / "train", ("ape",), 100)
    paint(made / "val" / "ape" / "0000.png", 9, 9)
    return made


def test_a_damaged_image_is_one_error_or_valid(faults: Any, folder: Path) -> None:
    path, dataset = folder / "val" / "ape" / "0000.png", ImageFolder(folder=str(folder), size=8).build()
    whole = []
    for kind in KINDS:
        path.write_bytes(written(kind))
        whole.append((kind[0], path.read_bytes(), dataset.take("test", torch.tensor([0])).data))

    for case in faults.cases(reduced=400, full=20_000):
        form, content, before = case.random.choice(whole)
        damage = case.random.choice(DAMAGES)
        path.write_bytes(damaged(content, damage, case.random))
        try:
            data = dataset.take("test", torch.tensor([0])).data
        except RunError as error:
            fits = str(error).startswith(f"image-folder: cannot read {path} (")
            faults.record(case, "refused" if fits else "unclear", error)
        except Exception as error:
            faults.record(case, "traceback", f"{form}, {damage}: {error!r}")
        else:
            valid = data.shape == (1, 3, 8, 8) and bool((data.abs() <= 1).all())
            same = valid and torch.equal(data, before)
            other = valid and form != "PNG" and damage in INSIDE
            faults.record(case, "unharmed" if same or other else "silent", f"{form}, {damage}")

    assert not faults.wrong, "\n".join(faults.wrong)
