"""What a distillation depends on, kept in its folder, so that no other command goes on from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crt_nn.json_files import json_object
from crt_run.runs import files
from crtcore.errors import RunError

NAME = "plan.json"


def identity(target: Path, prompts: Sequence[Sequence[int]], seed: int, size: str) -> dict[str, Any]:
    """Returns what texts and training depend on, beside the time that they get."""
    weights = sorted((path.name, path.stat().st_size) for path in target.glob("*.safetensors"))
    described = (target / "config.json").read_bytes() + json.dumps(weights).encode()
    return {
        "target": hashlib.sha256(described).hexdigest(),
        "prompts": hashlib.sha256(json.dumps([list(row) for row in prompts]).encode()).hexdigest(),
        "seed": seed,
        "size": size,
    }


def check_identity(folder: Path, own: Mapping[str, Any]) -> None:
    """Writes what a distillation depends on to its folder, or compares it with what is there.

    Raises: RunError if the folder is of another one, or of something else.
    """
    path = folder / NAME
    if path.exists():
        there = json_object(path, "distill")
        if odd := [key for key in own if there.get(key) != own[key]]:
            raise RunError(
                f"distill: {folder.parent}: expected the folder of the same command, got one with another "
                f"{' and '.join(odd)}; name another folder, or delete it"
            )
        return
    begun = [path for path in (folder.parent, folder) if path.is_dir()]
    others = [path for each in begun for path in each.iterdir() if path != folder and not path.name.startswith(".tmp-")]
    if others:
        raise RunError(f"distill: expected a new folder, or one that this command began, got {others[0]}; "
                       "name another")  # fmt: skip
    files.write(path, files.dumped(dict(own)))
