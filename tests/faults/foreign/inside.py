"""What happens inside files: to headers, entries, objects and values, whose checksums then fit."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..mutations import MUTATIONS
from .bytes import Damage, Random, one_of

VALUES = (
    *(None, True, False, 0, 1, 2, 3, 4, 5, 8, -1, 10**6, 10**18, 10**30, 10**400, 0.5, -0.5, 1e-300, 1e300),
    *(float("nan"), float("inf"), "", "8", "llama", "mistral", "\0", "..", "x" * 300, "\ud800", [], [1], {}, {"a": 1}),
)
"""Values for keys of JSON."""


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


# To JSON and TOML


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


INSIDE: dict[str, Sequence[Damage]] = {
    ".safetensors": (header,),
    ".pt": (objects, entries),
    ".npz": (entries,),
    ".json": (keys,),
    ".toml": (mutated,),
}
"""Damages inside a format, by suffix."""
