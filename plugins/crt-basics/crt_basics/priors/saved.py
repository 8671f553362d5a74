"""A prior with the weights of a finished stage."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from crt_basics.priors.specs import Saved
from crt_nn.foreign import instead
from crt_run.runs import checkpoint
from crt_run.runs.ended import Ended
from crt_run.runs.find import find_run
from crt_run.runs.records import ABOUT, RESULT, seal
from crt_run.training.plans import bare
from crtcore.compose.structure import StructureError, Structurer
from crtcore.errors import CheckpointError, RunError
from crtcore.kinds import Prior, PriorSpec
from crtcore.registry import discover

EXAMPLE = 5, 9, 3
"""Vocabulary, length and classes of a prior where laws are tried; a square length, for priors over grids."""


def restored(spec: Saved, vocabulary: int, length: int, classes: int | None) -> Prior:
    """Builds the prior that a stage of a finished run has trained, with its weights.

    Raises: RunError if there is no such run or stage, or it holds no valid checkpoint, or the weights of another prior.
    """
    run = find_run(spec.run)
    described = spec.prior or trained_in(run, spec.stage)
    folder = spec.weights()
    weights = kept(folder)
    prior = described.build(vocabulary, length, classes)
    if not isinstance(prior, nn.Module):
        raise RunError(f"saved: expected a prior with weights to load from {folder}, got {type(prior).__name__}")
    wanted, saved = forms(prior.state_dict()), forms(weights)
    for name in sorted(wanted.keys() | saved.keys()):
        if wanted.get(name) != saved.get(name):
            raise RunError(
                f"saved: {folder}: expected {name!r} to be {wanted.get(name, 'absent')}, "
                f"got {saved.get(name, 'absent')}; expected a prior over {vocabulary} ids and {classes or 'no'} "
                f"classes, of a run with the same tokenizer and data"
            )
    prior.load_state_dict(weights)
    return prior


def trained_in(run: Path, stage: str) -> PriorSpec:
    """The prior that a stage of a finished run has trained, as that run describes it.

    Raises: RunError if the stage trained none.
    """
    made: Any = tomllib.loads(Ended(run).spec)
    try:
        for step in stage.split("."):
            made = made[int(step)] if isinstance(made, list) else made[step]
        spec: PriorSpec = Structurer(discover())(made, PriorSpec)
    except (LookupError, TypeError, ValueError, StructureError) as error:
        reason = f" ({error})" if isinstance(error, StructureError) else ""
        raise RunError(f"saved: {run}: expected a stage that trains a prior, got {stage!r}{reason}") from None
    return bare(spec)


def kept(folder: Path) -> dict[str, Tensor]:
    """The weights of the one part in a stage's checkpoint.

    Raises: RunError if there is no checkpoint, or it is damaged, or holds more or less than one part.
    """
    if instead(folder / checkpoint.MARK, text=True):
        raise RunError(f"saved: expected a committed checkpoint in {folder}, got none; name a stage of a finished run")
    try:
        tensors = checkpoint.load(folder).tensors
    except CheckpointError as error:
        reason = str(error).rpartition("; ")[0]  # its advice is for a run that goes on
        raise RunError(
            f"saved: expected the checkpoint in {folder} as it was written, got a damaged one ({reason}); "
            "copy that folder again, or train that prior again"
        ) from error
    parts = sorted({".".join(name.split(".")[:2]) for name in tensors})
    if len(parts) != 1 or not parts[0].startswith("part."):
        raise RunError(
            f"saved: expected the tensors of one part in {folder}, got {', '.join(parts) or 'none'}; "
            "name a stage that trains a prior alone"
        )
    return {name.removeprefix(f"{parts[0]}."): tensor for name, tensor in tensors.items()}


def forms(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The dtype and shape of each tensor."""
    return {
        name: f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}" for name, tensor in tensors.items()
    }


def write_example(folder: Path, spec: PriorSpec) -> Path:
    """Writes a run whose stage `prior` has the initial weights of a prior, and returns its folder."""
    prior = spec.build(*EXAMPLE)
    assert isinstance(prior, nn.Module)
    return write_run(folder, {f"part.prior.{name}": value for name, value in prior.state_dict().items()})


def write_run(runs: Path, tensors: Mapping[str, Tensor]) -> Path:
    """Writes a run whose stage `prior` has these tensors, and does not describe it; returns its folder in `runs`."""
    stage, run = runs / "stages" / "prior" / "example", runs / "example" / "run"
    checkpoint.save(stage / "final", tensors, {})
    run.mkdir(parents=True, exist_ok=True)
    seal(run / ABOUT, {"stages": {"prior": {"folder": str(stage.relative_to(runs))}}, "files": {}})
    seal(run / RESULT, {})
    return run
