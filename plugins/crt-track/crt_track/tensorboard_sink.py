"""TensorBoard: event files in the folder `tensorboard` of a run; `tensorboard --logdir runs` shows all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from torch.utils.tensorboard import SummaryWriter

from crt_track.sinks import Started


class TensorBoard:
    """A run as event files; one that is started again hides what was written before."""

    def __init__(self, started: Started) -> None:
        self.writer = SummaryWriter(str(started.folder / "tensorboard"), purge_step=0)
        self.writer.add_text("spec", f"```json\n{json.dumps(dict(started.spec), indent=2)}\n```")

    def reading(self, stage: str, step: int, name: str, value: float) -> None:
        """Writes a scalar STAGE/NAME."""
        self.writer.add_scalar(f"{stage}/{name}", value, step)

    def end(self, numbers: Mapping[str, float], problem: str | None) -> None:
        """Writes the numbers as scalars result/NAME."""
        for name, value in numbers.items():
            self.writer.add_scalar(f"result/{name}", value, 0)
        if problem is not None:
            self.writer.add_text("problem", problem)
        self.writer.close()
