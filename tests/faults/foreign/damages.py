"""What happens to files on their way: to their bytes, and to what is inside a format. All of it by random numbers."""

from __future__ import annotations

import io
import json
import os
import random as randoms
import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from ..mutations import MUTATIONS

Random: TypeAlias = randoms.Random
Damage: TypeAlias = Callable[[Random, Path], str]
"""Damages a file; returns what it did."""
PAGE = b"<!DOCTYPE html>\n<html><head><title>404</title></head><body>The page was not found.</body></html>\n" * 9
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 1343\n" % (b"0" * 64)
OTHERS = {
    "an empty file": b"",
    "a page": PAGE,
    "a page with a mark": b"\xef\xbb\xbf \n" + PAGE,
    "a pointer": POINTER,
    "a hub's JSON": b'{"error": "Repository not found", "code": 404}' * 3,
    "a hub's text": b"Entry not found, or access to it is restricted",
    "gzip": b"\x1f\x8b\x08\x00" + bytes(range(1, 251)) * 4,
    "npy": b"\x93NUMPY\x01\0v\0" + bytes(range(1, 251)) * 4,
}
"""Whole files that stand in the place of another; none of them is ever right."""
VALUES = (
    *(None, True, False, 0, 1, 2, 3, 4, 5, 8, -1, 10**6, 10**18, 10**30, 10**400, 0.5, -0.5, 1e-300, 1e300),
    *(float("nan"), float("inf"), "", "8", "llama", "mistral", "\0", "..", "x" * 300, "\ud800", [], [1], {}, {"a": 1}),
)
"""Values for keys of JSON."""


def one_of(random: Random, folder: Path) -> Path:
    """A file below the folder."""
    return random.choice(sorted(path for path in folder.rglob("*") if path.is_file()))


# To bytes


def cut(random: Random, folder: Path) -> str:
    """Leaves the beginning of a file."""
    path = one_of(random, folder)
    size = random.randrange(path.stat().st_size)
    os.truncate(path, size)
    return f"{path.name} cut to {size}"


def flipped(random: Random, folder: Path) -> str:
    """Changes one to four bytes, near the beginning, near the end or anywhere."""
    path = one_of(random, folder)
    raw = bytearray(path.read_bytes())
    for _ in range(random.randint(1, 4)):
        span = min(len(raw), random.choice([16, 300, len(raw)]))
        place = random.choice([0, len(raw) - span]) + random.randrange(span)
        raw[place] = random.choice([raw[place] ^ 1 << random.randrange(8), random.randrange(256), 0, 255])
    path.write_bytes(raw)
    return f"{path.name} flipped"


def moved(random: Random, folder: Path) -> str:
    """Deletes, repeats, blanks or moves a piece, or adds one at the end."""
    path = one_of(random, folder)
    raw = path.read_bytes()
    start, other = (random.randrange(len(raw)) for _ in range(2))
    piece = raw[start : start + random.choice([1, 2, 8, 100, 4096])]
    end = start + len(piece)
    kind = random.choice(["deleted", "repeated", "blanked", "copied", "appended"])
    path.write_bytes(
        {
            "deleted": raw[:start] + raw[end:],
            "repeated": raw[:end] + raw[start:],
            "blanked": raw[:start] + bytes(len(piece)) + raw[end:],
            "copied": raw[:other] + piece + raw[other + len(piece) :],
            "appended": raw + piece,
        }[kind]
    )
    return f"{path.name}: {kind} {len(piece)} at {start}"


def replaced(random: Random, folder: Path) -> str:
    """Puts another file in the place of one."""
    path, kind = one_of(random, folder), random.choice(sorted(OTHERS))
    path.write_bytes(OTHERS[kind])
    return f"!{path.name} is {kind}"


def gone(random: Random, folder: Path) -> str:
    """Puts a folder, a broken or circular link, a pipe or nothing in the place of a file, or of its folder."""
    path = one_of(random, folder)
    path.unlink()
    kind = random.choice(["nothing", "folder", "broken", "circular", "pipe"])
    match kind:
        case "folder":
            path.mkdir()
        case "broken":
            path.symlink_to("nowhere")
        case "circular":
            path.symlink_to(path.name)
        case "pipe":
            os.mkfifo(path)
    return f"!{path.name} is {kind}"


def swapped(random: Random, folder: Path) -> str:
    """Puts one file of a folder in the place of another."""
    path, other = one_of(random, folder), one_of(random, folder)
    if path != other:
        path.write_bytes(other.read_bytes())
    return f"{path.name} is {other.name}"


BYTES: Sequence[Damage] = (cut, flipped, moved, replaced, gone, swapped)


# To safetensors


def header(random: Random, folder: Path) -> str:
    """Changes the header of a safetensors file, and writes its length as it is."""
    path = random.choice(sorted(folder.rglob("*.safetensors")))
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    table: dict[str, Any] = json.loads(raw[8:start])
    name = random.choice(sorted(set(table) - {"__metadata__"}))
    about = table[name]
    kinds = ["dtype", "shape", "offsets", "name", "gone", "twice", "key", "more", "metadata", "length", "blank"]
    kind = random.choice(kinds)
    extra = ""
    match kind:
        case "dtype":
            types = [
                "F64",
                "F16",
                "BF16",
                "I32",
                "I64",
                "U8",
                "BOOL",
                "C64",
                "F8_E4M3",
                "F8_E8M0",
                "F4",
                "f32",
                3,
                None,
            ]
            about["dtype"] = random.choice(types)
        case "shape":
            size = random.choice([0, 1, -1, 2**31, 2**62, 2**63, 2**64, 1.5, "4", None])
            shape = about["shape"]
            about["shape"] = random.choice([[*shape, size], shape[:-1], shape[::-1], [*shape, 1], size, [size]])
        case "offsets":
            at = random.randrange(2)
            about["data_offsets"][at] = random.choice([0, -1, 4, 2**40, 2**63, 2**64, about["data_offsets"][1 - at]])
        case "name":
            table[random.choice(["", "\0", "x" * 9000, name + " ", "model." + name])] = table.pop(name)
        case "gone":
            del table[name]
        case "twice":
            table[name + "2"] = about
        case "key":
            table[name] = random.choice([None, [], {}, {**about, "more": 1}, about["shape"]])
        case "more":
            table["more"] = {"dtype": "F32", "shape": [0], "data_offsets": [about["data_offsets"][0]] * 2}
        case "metadata":
            table["__metadata__"] = random.choice([{"format": "tf"}, {"a": 1}, [], "x", None, {"": ""}])
        case "blank":
            extra = " " * random.choice([1, 7, 5000])
    written = (json.dumps(table) + extra).encode()
    length = len(written) + (random.choice([-1, 1, 8, 10**9]) if kind == "length" else 0)
    path.write_bytes(length.to_bytes(8, "little") + written + raw[start:])
    return f"{path.name}: {kind} of {name}"


# To what torch writes


def odd_tensor(random: Random, tensor: torch.Tensor) -> Any:
    """Another thing in the place of a tensor."""
    makers: dict[str, Callable[[], Any]] = {
        "double": tensor.double,
        "half": tensor.half,
        "bfloat16": tensor.bfloat16,
        "parameter": lambda: torch.nn.Parameter(tensor),
        "apart": lambda: torch.stack([tensor, -tensor], -1)[..., 0],
        "int": tensor.int,
        "bool": tensor.bool,
        "complex": lambda: tensor.to(torch.complex64),
        "float8": lambda: tensor.to(torch.float8_e4m3fn),
        "quantised": lambda: torch.quantize_per_tensor(tensor, 0.125, 0, torch.qint8),
        "sparse": tensor.to_sparse,
        "meta": lambda: tensor.to("meta"),
        "nan": lambda: torch.where(tensor == tensor.flatten()[0], torch.nan, tensor),
        "large": lambda: torch.where(tensor == tensor.flatten()[0], 1e300, tensor.double()),
        "longer": lambda: torch.cat([tensor, tensor]),
        "scalar": lambda: torch.tensor(1.0),
        "empty": lambda: tensor[:0],
        "list": tensor.tolist,
        "number": lambda: 3.0,
        "none": lambda: None,
        "path": lambda: Path("x"),
        "dict": lambda: {"weight": tensor},
    }
    return makers[random.choice(sorted(makers))]()


def objects(random: Random, folder: Path) -> str:
    """Writes another object with torch: tensors of other types, names or wrappers, and things that need code."""
    path = random.choice(sorted(folder.rglob("*.pt")))
    whole = torch.load(path, weights_only=True)
    weights = whole["model"]
    name = random.choice(sorted(weights))
    kind = random.choice(["value", "value", "value", "name", "gone", "more", "number", "wrapper", "whole", "pair"])
    match kind:
        case "value":
            weights[name] = odd_tensor(random, weights[name])
        case "name":
            weights[f"module.{name}"] = weights.pop(name)
        case "gone":
            del weights[name]
        case "more":
            weights[random.choice(["extra", "", "x" * 9000])] = weights[name]
        case "number":
            weights[random.choice([3, None, (1, 2), b"x", 2.5, True])] = weights[name]
        case "wrapper":
            whole = {random.choice(["state_dict", "params", "ema", "weights", "model"]): weights}
        case "whole":
            first = weights[name]
            whole = random.choice([weights, list(weights.values()), first, 3, None, {}, {"model": None}, {"model": {}}])
        case "pair":
            whole = {"model": weights, "where": Path("x"), "sizes": np.float64(3)}
    torch.save(whole, path, _use_new_zipfile_serialization="old" not in path.parent.name)
    return f"{path.name}: {kind} of {name}"


def entries(random: Random, folder: Path) -> str:
    """Changes an entry of a zip, and writes the archive anew with checksums that fit."""
    path = random.choice(sorted([*folder.rglob("*.pt"), *folder.rglob("*.npz")]))
    with zipfile.ZipFile(path) as archive:
        held = {each.filename: archive.read(each) for each in archive.infolist()}
    name = random.choice(sorted(held) + [each for each in held if each.endswith(".pkl")] * 3)
    kind = random.choice(["gone", "cut", "flipped", "longer", "renamed", "empty", "packed", "unmarked"])
    match kind:
        case "gone":
            del held[name]
        case "cut":
            held[name] = held[name][: random.randrange(len(held[name]) + 1)]
        case "flipped":
            content = bytearray(held[name] or b"0")
            content[random.randrange(len(content))] = random.randrange(256)
            held[name] = bytes(content)
        case "longer":
            held[name] += held[name][:64]
        case "renamed":
            held[random.choice(["x", "../x", "/x", f"{name}2", f"archive/{name}"])] = held.pop(name)
        case "empty":
            held = {}
    packed = zipfile.ZIP_DEFLATED if kind == "packed" else zipfile.ZIP_STORED
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packed) as archive:
        for each, content in held.items():
            archive.writestr(each, content)
    path.write_bytes(buffer.getvalue())
    # Checksums fit, so other numbers in a right form are what the file holds.
    return f"{'~' if kind in ('flipped', 'cut', 'longer') else ''}{path.name}: {kind} {name}"


# To JSON, and to TOML


def keys(random: Random, folder: Path) -> str:
    """Changes a value of a JSON document, or of one inside it, or takes it away."""
    path = random.choice([path for path in sorted(folder.rglob("*.json")) if path.is_file()])
    whole: Any = json.loads(path.read_text())
    inside: Any = whole
    while True:
        key = random.choice(sorted(inside) if isinstance(inside, dict) else range(len(inside)))
        if not isinstance(inside[key], dict | list) or not inside[key] or random.random() < 0.2:
            break
        inside = inside[key]
    kind = random.choice(["value", "value", "value", "gone", "name", "whole", "deep"])
    match kind:
        case "value":
            inside[key] = random.choice(VALUES)
        case "gone":
            del inside[key]
        case "name" if isinstance(inside, dict):
            inside[random.choice(["", "x" * 9000, f"{key}_", "\ud800"])] = inside.pop(key)
        case "name":
            inside.insert(random.randrange(len(inside)), inside.pop(key))
        case "whole":
            whole = random.choice(VALUES)
    written = json.dumps(whole)
    if kind == "deep":
        written = "[" * 100_000 + "]" * 100_000
    path.write_text(written)
    return f"{path.name}: {kind} of {str(key)[:20]}"


def mutated(random: Random, folder: Path) -> str:
    """Changes a file of TOML as `mutations` has it."""
    path, mutate = one_of(random, folder), random.choice(MUTATIONS)
    path.write_bytes(mutate(path.read_text(), random))
    return f"{path.name}: {mutate.__name__}"


def words(random: Random, folder: Path) -> str:
    """Puts a word or a line of TOML in the place of another."""
    path = one_of(random, folder)
    pieces = path.read_text().split(random.choice([" ", "\n", '"']))
    signs = ["[", "]", "[[", "]]", "=", ".", '"""', "'''", "\\", "\0", "#", "{", "}", ",", "extends", "nan", "-inf"]
    signs += ["1e999", "0x", "1_", "_", "\ud7ff", "\r", "\u2028", "1979-05-27T07:32:00Z", "9" * 5000, "[" * 2000]
    signs += ["a." * 2000, "sweep", "use", "true", "18446744073709551616"]
    for _ in range(random.randint(1, 3)):
        pieces[random.randrange(len(pieces))] = random.choice([random.choice(signs), random.choice(pieces)])
    path.write_text(random.choice([" ", "\n", '"']).join(pieces))
    return f"{path.name}: words"


INSIDE: dict[str, Sequence[Damage]] = {
    ".safetensors": (header,),
    ".pt": (objects, entries),
    ".npz": (entries,),
    ".json": (keys,),
    ".toml": (words, mutated),
}
"""Damages inside a format, by suffix."""


def damage(random: Random, folder: Path) -> str:
    """Damages files in `folder` in one way that fits one of them."""
    suffixes = sorted({path.suffix for path in folder.rglob("*") if path.is_file()} & set(INSIDE))
    inside = [each for suffix in suffixes for each in INSIDE[suffix]]
    if "old" in folder.name:  # no zip
        inside.remove(entries)
    done = random.choice(random.choice([BYTES, inside or BYTES]))
    return done(random, folder)


def fresh(template: Path, folder: Path) -> None:
    """Makes `folder` a copy of undamaged files."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
