"""Writes the documentation of installed packages as tokens of a model, for `token-files`.

Usage: python bench/documents.py MODEL FOLDER [--length N] [--windows N] [--held-out N]

MODEL is a folder with a `tokenizer.json`. A document is the long description of a package, or all docstrings of one of
its modules that is no test. Documents are in the order of their hashes: the first fill the validation split, the next
the test split, and the others `train.bin`, so that no document is in two splits. Each is cut to whole windows of
`--length` tokens, so that no window holds two documents; repeated windows are left out. Of a document with more than
16 windows, 16 are kept, evenly spaced over it: a study counts windows as independent, and a few long documents must not
fill a split. FOLDER gets `train.bin`, `val.bin` and `documents.json`, with the packages, their versions, and the
windows and the documents of each split, which are printed too. Nothing is imported but the tokenizer's package,
`pip install tokenizers`.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

import numpy as np

SHORTEST = 1_000
"""Characters of the shortest document."""
LONGEST = 100_000
"""Characters of a document that are read."""
KEPT = 16
"""The most windows of a document that are kept."""
TESTS = frozenset({"test", "tests", "testing", "conftest", "_vendor", "vendor"})
"""Folders and modules that are left out."""


def main() -> None:
    """Reads, tokenises and writes."""
    arguments = parsed()
    if arguments.folder.exists():
        sys.exit(f"documents: expected a new folder, got {arguments.folder}, which exists; name another")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
    texts, packages = documents()
    wanted = {"validation": arguments.held_out, "test": arguments.held_out, "train": arguments.windows}
    rows = {split: [] for split in wanted}
    chosen: dict[str, int] = dict.fromkeys(wanted, 0)
    seen: set[bytes] = set()
    left = iter(texts)
    for split, most in wanted.items():
        while len(rows[split]) < most and (text := next(left, None)) is not None:
            cut = windows(tokenizer, text, arguments.length, seen)
            rows[split] += cut[: most - len(rows[split])]
            chosen[split] += bool(cut)
    if any(len(rows[split]) < wanted[split] for split in ("validation", "test")) or not rows["train"]:
        got = {split: len(each) for split, each in rows.items()}
        sys.exit(f"documents: expected enough documentation for every split, got {got} windows; ask for fewer")
    arguments.folder.mkdir(parents=True)
    np.concatenate(rows["train"]).tofile(arguments.folder / "train.bin")
    np.concatenate(rows["validation"] + rows["test"]).tofile(arguments.folder / "val.bin")
    about = {
        "length": arguments.length,
        "windows": {split: len(each) for split, each in rows.items()},
        "documents": chosen,
        "packages": packages,
    }
    (arguments.folder / "documents.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: about[key] for key in ("windows", "documents")}))


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Documentation of installed packages as tokens.")
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path)
    for name, default in (("length", 128), ("windows", 4_000), ("held-out", 400)):
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


def documents() -> tuple[list[str], dict[str, str]]:
    """The documents in the order of their hashes, and the version of each package that has some."""
    texts: dict[str, str] = {}
    packages: dict[str, str] = {}
    for package in distributions():
        for text in (described(package), *docstrings(package)):
            if len(text) >= SHORTEST:
                texts[hashlib.sha256(text.encode(errors="replace")).hexdigest()] = text[:LONGEST]
                packages[package.metadata["Name"]] = package.version
    return [texts[key] for key in sorted(texts)], dict(sorted(packages.items()))


def described(package: Distribution) -> str:
    """The long description of a package."""
    text: Any = package.metadata.get_payload()
    return text if isinstance(text, str) else ""


def docstrings(package: Distribution) -> Iterator[str]:
    """The docstrings of each module of a package, one after another."""
    for file in package.files or ():
        if file.suffix != ".py" or any(part in TESTS or part.startswith("test_") for part in (*file.parts, file.stem)):
            continue
        path = Path(str(package.locate_file(file)))
        try:
            with warnings.catch_warnings(action="ignore"):
                tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue  # such as a template that is no Python
        owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        texts = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, owners))
        yield "\n\n".join(text for text in texts if text)


def windows(tokenizer: Any, text: str, length: int, seen: set[bytes]) -> list[np.ndarray]:
    """At most `KEPT` whole windows of a document, evenly spaced among those that are new; they are added to `seen`."""
    ids = np.array(tokenizer.encode(text, add_special_tokens=False).ids)
    if len(ids) and ids.max() >= 2**16:
        sys.exit(f"documents: expected ids below 65,536, as token files have 16 bits, got {ids.max()}")
    rows = ids[: len(ids) // length * length].astype("<u2").reshape(-1, length)
    new = {key: row for row in rows if (key := row.tobytes()) not in seen}
    keys, count = list(new), min(len(new), KEPT)
    chosen = [keys[index * len(keys) // count] for index in range(count)]
    seen.update(chosen)
    return [new[key] for key in chosen]


if __name__ == "__main__":
    main()
