"""Small data sets and spec files that users bring, their readers here, and a second reading that is none of ours."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from tokenizers import Tokenizer

from crt_data.listing import SUFFIXES, split_of
from crt_data.specs import ImageFolder
from crt_latent.metamath.spec import MetaMath
from crtcore import discover
from crtcore.compose.document import DEEPEST
from crtcore.compose.plan import load

from .targets import Reading, Target, form

SPLITS = ("train", "validation", "test")
FIELDS = ("query", "response", "original_question")
MARK = "The answer is:"
PIXELS = 8
"""Along each side of an image: as many as the data set has, so that nothing but damaged ones is resized."""
WRITTEN: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("PNG", "RGB", {}),
    ("PNG", "L", {}),
    ("PNG", "P", {}),
    ("JPEG", "RGB", {"progressive": True}),
    ("JPEG", "L", {}),
    ("WEBP", "RGB", {"lossless": True}),
    ("BMP", "RGB", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "L", {}),
    ("PPM", "RGB", {}),
)
"""Format, mode and options of the images."""
SPEC = Path(__file__).resolve().parents[3] / "specs" / "smoke.toml"


def lay_metamath(folder: Path) -> None:
    """MetaMathQA, and a tokenizer of words."""
    MetaMath(file="", tokenizer="").example_in(folder)


def read_metamath(folder: Path) -> Reading:
    """The rows of each split, in any order, as they would stand without padding."""
    made = MetaMath(file=str(folder / "sums.json"), tokenizer=str(folder)).build()
    rows = {split: made.take(split, torch.arange(size)).data.tolist() for split, size in made.sizes.items()}
    return {split: sorted([id_ for id_ in row if id_ >= 0] for row in each) for split, each in rows.items()}


def again_metamath(folder: Path) -> Reading:
    """The rows by the tokenizer's own library."""
    import hashlib

    tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    size = max(tokenizer.get_vocab().values()) + 1
    rows: dict[str, list[list[int]]] = {split: [] for split in SPLITS}
    seen: set[tuple[int, ...]] = set()
    listed = json.loads((folder / "sums.json").read_bytes(), object_pairs_hook=once)
    for split in SPLITS:
        for query, response, question in ([entry[name] for name in FIELDS] for entry in listed):
            digest = hashlib.sha256(" ".join(question.split()).encode()).digest()
            steps, mark, solution = response.rpartition(MARK)
            if {0: "validation", 1: "test"}.get(int.from_bytes(digest) % 20, "train") != split:
                continue
            texts = (query.strip(), steps.strip(), solution.strip())
            prompt, work, end = (tokenizer.encode(text, add_special_tokens=False).ids for text in texts)
            row = [*prompt, size, *work, size + 1, *end, size + 2]
            if mark and texts[2] and len(row) <= 1024 and tuple(row) not in seen:
                seen.add(tuple(row))
                rows[split].append(row)
    return {split: sorted(each) for split, each in rows.items()}


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are there once."""
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def names(split: str) -> Iterator[str]:
    """Names of images that belong to a split of `train`."""
    for number in range(10**6):
        if split_of(f"ape/{number:04d}.png", 1, 0) == split:
            yield f"{number:04d}.png"


def lay_images(folder: Path) -> None:
    """Two classes of images, of each format; the suffix does not matter."""
    levels = np.random.default_rng(0).integers(256, size=(3 * len(WRITTEN), PIXELS, PIXELS, 3), dtype=np.uint8)
    places = {"train/ape": "train", "train/bee": "train", "val/ape": ""}
    for number, (kind, mode, options) in enumerate(WRITTEN):
        for index, (place, _) in enumerate(places.items()):
            path = folder / place / f"{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(levels[number * len(places) + index]).convert(mode)
            image.save(path, kind, **options)
    image = Image.fromarray(levels[0])
    image.save(folder / "train" / "ape" / next(names("validation")), "PNG")


def read_images(folder: Path) -> Reading:
    """All images that are held out, and the number of those in training; each of those is opened, too."""
    made = ImageFolder(folder=str(folder), size=PIXELS).build()
    reading: Reading = {"train": made.sizes["train"]}
    made.take("train", torch.arange(made.sizes["train"]))
    for split in ("validation", "test"):
        batch = made.take(split, torch.arange(made.sizes[split]))
        reading |= {f"{split} {place}": form(each) for place, each in enumerate(batch.data)}
    return reading


def again_images(folder: Path) -> Reading:
    """The same by Pillow, and by the crop of guided-diffusion (image_datasets.py, `center_crop_arr`)."""
    paths = {part: sorted(_images(folder / part)) for part in ("train", "val")}
    held = [path for path in paths["train"] if split_of(f"{path.parent.name}/{path.name}", 1, 0) == "validation"]
    reading: Reading = {"train": len(paths["train"]) - len(held)}
    for split, each in (("validation", held), ("test", paths["val"])):
        for place, path in enumerate(each):
            with Image.open(path) as image:
                pixels = _centre(ImageOps.exif_transpose(image).convert("RGB")).transpose(2, 0, 1)
            reading[f"{split} {place}"] = form(torch.from_numpy(pixels.copy()).float() / 127.5 - 1)
    return reading


def _centre(image: Image.Image) -> Any:
    while min(image.size) >= 2 * PIXELS:
        image = image.resize(tuple(side // 2 for side in image.size), Image.Resampling.BOX)
    scale = PIXELS / min(image.size)
    image = image.resize(tuple(round(side * scale) for side in image.size), Image.Resampling.BICUBIC)
    top, left = ((side - PIXELS) // 2 for side in (image.height, image.width))
    return np.asarray(image)[top : top + PIXELS, left : left + PIXELS]


def _images(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


@cache
def registry() -> Any:
    """All that is installed."""
    return discover()


def lay_spec(folder: Path) -> None:
    """A spec file, which extends another."""
    (folder / "base.toml").write_text(SPEC.read_text())
    (folder / "s.toml").write_text('extends = "base.toml"\nname = "s"\n[training.prior]\nsteps = 2\n')


def read_spec(folder: Path) -> Reading:
    """What the plan of a spec has wherever the file has a value."""
    made = load(folder / "s.toml", registry())
    document = made.document if made.swept else made.points[0].plan.document
    return {path: _at(document, path) for path in _leaves(made.document)}


def again_spec(folder: Path) -> Reading:
    """The values of the file over those of the file it extends, by Python's own reader."""
    over = tomllib.loads((folder / "s.toml").read_bytes().decode())
    under = tomllib.loads((folder / over.pop("extends")).read_bytes().decode()) if "extends" in over else {}
    values = _over(under, over)
    return {path: _at(values, path) for path in _leaves(values)}


def _over(under: Any, over: Any) -> Any:
    if not (isinstance(under, dict) and isinstance(over, dict)):
        return over
    return {key: _over(under[key], over[key]) if key in under and key in over else {**under, **over}[key]
            for key in {**under, **over}}  # fmt: skip


def _leaves(values: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    assert len(path) <= DEEPEST
    steps = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else None
    if steps is None:
        yield path
    for step, inside in steps or ():
        yield from _leaves(inside, (*path, step))


def _at(values: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        values = values[step]
    return values


DATASETS = (
    Target("metamath", lay_metamath, read_metamath, again_metamath),
    Target("images", lay_images, read_images, again_images, listed=True),
    Target("spec", lay_spec, read_spec, again_spec),
)
