"""A run in the layout of the Hugging Face Hub: `model.safetensors`, `config.json` and a card, `README.md`.

Weights are named STAGE/PART.NAME. Reading runs no code that a file names: components are built by their registered
names, and tensors come from safetensors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from crt_run.loading.card import card
from crt_run.loading.parts import Kept
from crt_run.loading.plans import plan_of
from crt_run.runs import files
from crt_run.runs.contents import own_paths, with_inner
from crt_run.runs.ended import fitting
from crt_run.runs.provenance import versions
from crt_run.training.outline import read_outline
from crtcore.errors import RunError, in_one_line
from crtcore.kinds import Plan
from crtcore.spec import resolve

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
FORMAT = 1
"""Version of `config.json`."""
_LARGEST = 2**24
"""Bytes of a configuration that are read."""
_AGAIN = "fetch the folder again, or write it by save_pretrained"


def write_folder(folder: Path, kept: Kept, result: Mapping[str, Any]) -> Path:
    """Writes the weights of a run, then its card and its configuration, by which the folder is known to be whole.

    Raises: RunError if a part has its weights elsewhere, or the folder cannot be written.
    """
    _check_whole(kept.plan)
    own = kept.trained
    weights = {f"{name}/{key}": tensor for name in own for key, tensor in kept.parts(name).items()}
    content = safetensors.torch.save({name: each.contiguous() for name, each in weights.items()}, {"format": "pt"})
    config = {
        "library_name": "crtcore",
        "format": FORMAT,
        "spec": dict(kept.plan.document),
        "outline": kept.outline.plain,
        "stages": [name for name in own if any(key.startswith(f"{name}/") for key in weights)],
        "result": {key: each for key, each in result.items() if key != "outcomes"},
        "versions": versions(),
        "sha256": {WEIGHTS: hashlib.sha256(content).hexdigest()},
    }
    with files.writing(folder / CONFIG):
        (folder / CONFIG).unlink(missing_ok=True)  # that of another run does not fit the weights
    files.write(folder / WEIGHTS, content)
    files.write(folder / CARD, card(kept.plan, config).encode())
    files.write(folder / CONFIG, files.dumped(config))
    return folder


def from_folder(folder: Path) -> tuple[Kept, dict[str, Any]]:
    """What `write_folder` wrote: what is left of the run, and its result.

    Raises: RunError if the folder is none of these, or damaged.
    """
    config = _config(folder / CONFIG)
    try:
        outline = read_outline(config["outline"])
        stages, spec, result = config["stages"], config["spec"], config["result"]
        digest = config["sha256"][WEIGHTS]
        if not (isinstance(stages, list) and isinstance(spec, dict) and isinstance(result, dict)):
            raise TypeError("stages, spec or result of another type")
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        what = f"expected what save_pretrained writes, got something else ({in_one_line(error)})"
        raise RunError(f"{folder / CONFIG}: {what}; {_AGAIN}") from None
    where = str(folder / CONFIG)
    whole = fitting(result, str(result.get("hash")), result.get("seed", -1), where, _AGAIN)
    read = partial(_tensors, folder / WEIGHTS, digest)
    return Kept(plan_of(spec, where), outline, [str(each) for each in stages], read, str(folder)), whole


def _check_whole(plan: Plan) -> None:
    """Raises: RunError if a part has its weights elsewhere, which the folder would not have."""
    for role, parts in plan.parts.items():
        for part in parts if isinstance(parts, tuple) else (parts,):
            if part is None or part.kind not in ("prior", "tokenizer", "bottleneck"):
                continue
            for each in with_inner(part):
                paths = own_paths(each)
                if paths or _brings_weights(each):
                    got = f"one that reads {paths[0]!r}" if paths else "one that brings others"
                    raise RunError(
                        f"{role}: expected a part whose weights this run has trained, got {got}; share those weights "
                        "themselves, or train the part"
                    )


def _brings_weights(part: Any) -> bool:
    """Whether a part is a prior that no stage trains, and that is not made of what a stage has trained."""
    return bool(getattr(part, "pretrained", False)) and not hasattr(resolve(part.implementation), "derive")


def _config(path: Path) -> dict[str, Any]:
    try:
        content = files.read(path)
        values = json.loads(content[:_LARGEST])
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: expected a JSON object, got none ({in_one_line(error):.120}); {_AGAIN}") from None
    known: dict[str, Any] = values if isinstance(values, dict) else {}
    if (got := (known.get("library_name"), known.get("format"))) != ("crtcore", FORMAT):
        raise RunError(
            f"{path}: expected the configuration of a run of crtcore in format {FORMAT}, got that of {got!r:.80}; name "
            "a folder that save_pretrained wrote"
        )
    return known


def _tensors(path: Path, digest: str, stage: str) -> dict[str, Tensor]:
    """The tensors of a stage, as its checkpoint names them."""
    content = files.read(path)
    if (got := hashlib.sha256(content).hexdigest()) != digest:
        what = f"the file was damaged or replaced, expected SHA-256 {digest!r:.80}, got {got!r}"
        raise RunError(f"{path}: {what}; {_AGAIN}")
    try:
        tensors = safetensors.torch.load(content)
    except (safetensors.SafetensorError, LookupError, ValueError) as error:
        raise RunError(f"{path}: expected tensors, got {in_one_line(error):.120}; {_AGAIN}") from None
    begin = f"{stage}/"
    return {f"part.{key.removeprefix(begin)}": value for key, value in tensors.items() if key.startswith(begin)}
