"""W&B, offline unless `WANDB_MODE` is `online`: files in the folder `wandb`, which `wandb sync` sends later."""

from __future__ import annotations

import os
from collections.abc import Mapping

os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # it would send reports of its own errors

import wandb

from crt_track.sinks import Started


class Wandb:
    """A run in W&B; each stage has steps of its own."""

    def __init__(self, started: Started) -> None:
        self.run = wandb.init(
            project=started.project,
            name=started.name,
            config=dict(started.spec),
            mode="online" if os.environ.get("WANDB_MODE") == "online" else "offline",
            reinit="create_new",  # runs of a sweep overlap
            settings=wandb.Settings(
                silent=True,
                console="off",
                disable_git=True,
                save_code=False,
                x_disable_stats=True,
                x_disable_machine_info=True,
            ),
        )
        self.stages: set[str] = set()

    def reading(self, stage: str, step: int, name: str, value: float) -> None:
        """Logs STAGE/NAME against STAGE/step."""
        if stage not in self.stages:
            self.stages.add(stage)
            self.run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
        self.run.log({f"{stage}/{name}": value, f"{stage}/step": step})

    def end(self, numbers: Mapping[str, float], problem: str | None) -> None:
        """Writes the numbers into the summary, and ends the run."""
        self.run.summary.update(dict(numbers))
        if problem is not None:
            self.run.summary["problem"] = problem
        self.run.finish(exit_code=0 if problem is None else 1)
