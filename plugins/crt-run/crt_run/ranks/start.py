"""Where a training over ranks starts: at the checkpoint that the first rank has on its disk."""

from __future__ import annotations

import json

from crt_run.ranks.alone import Together
from crt_run.runs.checkpoint import Saved, apart
from crtcore.kinds import Stage

DATA = "give every rank the same data, spec file and options"


def start_of(stage: Stage, group: Together, before: Saved | None) -> tuple[Saved | None, bool]:
    """The checkpoint that every rank starts from, `before` if the stage has none, and whether the stage is finished.

    Raises: RunError if a rank trains another stage than the first, or on other data.
    """
    saved, finished = stage.latest() or before, stage.finished
    if group.size == 1:
        return saved, finished
    import safetensors.torch

    group.meet()  # ranks may have read their data for long
    group.same("the stage and the data", f"{stage.name}, {stage.run.data}", DATA)
    about = {"finished": finished, "state": None if saved is None else saved.state}
    about = json.loads(group.of_first(json.dumps(about).encode()))
    if about["state"] is None:
        return None, about["finished"]
    raw = safetensors.torch.save(apart(saved.tensors)) if group.first and saved is not None else b""
    return Saved(safetensors.torch.load(group.of_first(raw)), about["state"]), about["finished"]
