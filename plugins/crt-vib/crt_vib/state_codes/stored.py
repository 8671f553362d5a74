"""States of a split, read once and stored for all runs that share them.

Axes: b windows, n ids of a window, m places of a window, s states (b * m), w width, c classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from crt_run.runs import checkpoint
from crt_run.training.ids import spread
from crt_vib.state_codes.places import Classes, Places, answers_at
from crt_vib.state_codes.trunk import at_appended, at_ids
from crtcore.errors import Stopped
from crtcore.kinds import Run, StagePlan

WINDOWS = 64
"""Windows of a file."""
READ_AT_ONCE = 8
"""Windows of a pass."""


class Trunk(NamedTuple):
    """What states are read of, and where."""

    prior: Any
    dataset: Any
    places: Places
    layers: tuple[int, ...]
    recent: int
    classes: Classes
    embedding: Float[Tensor, " w"] | None = None
    """That of the appended token; None: states are read at ids."""


def stored(trunk: Trunk, run: Run, plan: StagePlan, split: str, rows: int) -> dict[str, Tensor]:
    """Stored tensors of evenly spaced windows of a split, in files of `WINDOWS`; those that are not there yet are read.

    `PLACE-LAYER` are states `s w`, in the model's type; `chances`, for the test split at ids alone, is the model's
    own distribution of the next id's class, `s c`.
    Raises: Stopped between two passes.
    """
    chosen = spread(trunk.dataset.sizes[split], rows)
    parts = []
    with run.stage(plan, split) as stage:
        files = torch.split(chosen, WINDOWS)
        for number, windows in enumerate(files):
            folder = stage.folder / f"from-{number * WINDOWS:09d}"
            if not checkpoint.committed(folder):
                tensors = _read(trunk, run, split, windows)
                checkpoint.save(folder, tensors, {"windows": len(windows)})
                stage.record(number + 1, len(files), {"windows": number * WINDOWS + len(windows)})
            parts.append(checkpoint.mapped(folder).tensors)
        if not stage.finished:
            stage.save(len(files), {}, {"windows": len(chosen)}, final=True)
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def answers(trunk: Trunk, split: str, rows: int, distance: int) -> Int[Tensor, " s"]:
    """The classes of the ids at a distance from each place, of the same windows."""
    ids = trunk.dataset.take(split, spread(trunk.dataset.sizes[split], rows)).data
    return trunk.classes.table[answers_at(ids, trunk.places.of(ids.shape[1]), distance).flatten()]


def _read(trunk: Trunk, run: Run, split: str, windows: Int[Tensor, " b"]) -> dict[str, Tensor]:
    parts = []
    for few in torch.split(windows, READ_AT_ONCE):
        if run.stopping():
            raise Stopped
        ids = trunk.dataset.take(split, few).data.to(run.device)
        with torch.no_grad():
            parts.append(_pass(trunk, ids, chances=split == "test"))
    return {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]}


def _pass(trunk: Trunk, ids: Int[Tensor, "b n"], *, chances: bool) -> Mapping[str, Tensor]:
    """What a file holds, of a few windows."""
    prior, where = trunk.prior, trunk.places.of(ids.shape[1]).to(ids.device)
    ids = ids[:, : int(where[-1]) + 1]  # later ones change nothing at the places, as the model is causal
    if trunk.embedding is not None:
        _, streams = at_appended(prior, ids, where, trunk.embedding)
        return {f"appended-{layer}": streams[layer].flatten(0, 1) for layer in trunk.layers}
    final, streams = at_ids(prior, ids)  # b n+1 w
    here = where + 1  # the first position is before the first id
    back = here[:, None] - torch.arange(trunk.recent, device=ids.device)  # m recent
    result: dict[str, Tensor] = {}
    for layer in trunk.layers:
        stream = streams[layer]
        kept = {"last": stream[:, here], "before": stream[:, here - 1], "mean": stream[:, back].mean(2)}
        result |= {f"{place}-{layer}": states.flatten(0, 1) for place, states in kept.items()}
    if chances:
        each = prior.logits(final[:, here]).float().softmax(-1).flatten(0, 1)  # s v
        table = trunk.classes.table.to(ids.device).expand(len(each), -1)
        result["chances"] = each.new_zeros(len(each), trunk.classes.size).scatter_add(1, table, each)
    return result
