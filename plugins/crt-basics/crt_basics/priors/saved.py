"""A prior with the weights of a finished stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from crt_basics.priors.specs import Saved
from crt_nn.foreign import instead
from crt_run.runs import checkpoint
from crtcore.errors import CheckpointError, RunError
from crtcore.kinds import Prior, PriorSpec

EXAMPLE = 5, 9, 3
"""Vocabulary, length and classes of a prior where laws are tried; a square length, for priors over grids."""


def restored(spec: Saved, vocabulary: int, length: int, classes: int | None) -> Prior:
    """Builds the inner prior of `spec` with the weights in its folder.

    Raises: RunError if the folder holds no valid checkpoint, or the weights of another prior.
    """
    folder = Path(spec.folder).absolute()
    weights = kept(folder)
    prior = spec.prior.build(vocabulary, length, classes)
    if not isinstance(prior, nn.Module):
        raise RunError(f"saved: expected a prior with weights to load from {folder}, got {type(prior).__name__}")
    wanted, saved = forms(prior.state_dict()), forms(weights)
    for name in sorted(wanted.keys() | saved.keys()):
        if wanted.get(name) != saved.get(name):
            raise RunError(
                f"saved: {folder}: expected {name!r} to be {wanted.get(name, 'absent')}, "
                f"got {saved.get(name, 'absent')}; name the prior that was trained, over {vocabulary} ids "
                f"and {classes or 'no'} classes"
            )
    prior.load_state_dict(weights)
    return prior


def kept(folder: Path) -> dict[str, Tensor]:
    """The weights of the one part in a stage's checkpoint.

    Raises: RunError if there is no checkpoint, or it is damaged, or holds more or less than one part.
    """
    if instead(folder / checkpoint.MARK, text=True):
        raise RunError(
            f"saved: expected a committed checkpoint in {folder}, got none; "
            "give the folder of a finished stage, such as runs/stages/prior/HASH/final"
        )
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
            "give the folder of a finished stage that trains a prior alone"
        )
    return {name.removeprefix(f"{parts[0]}."): tensor for name, tensor in tensors.items()}


def forms(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """The dtype and shape of each tensor."""
    return {
        name: f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}" for name, tensor in tensors.items()
    }


def write_example(folder: Path, spec: PriorSpec) -> None:
    """Writes the initial weights of a prior as the checkpoint of a stage."""
    prior = spec.build(*EXAMPLE)
    assert isinstance(prior, nn.Module)
    checkpoint.save(folder, {f"part.prior.{name}": value for name, value in prior.state_dict().items()}, {})
