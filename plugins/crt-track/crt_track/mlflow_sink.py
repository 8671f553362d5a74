"""MLflow: at `MLFLOW_TRACKING_URI` if it is set, else in `mlflow.db` in the current folder; `mlflow ui` shows it."""

from __future__ import annotations

import os
from collections.abc import Mapping

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when it is imported
os.environ.setdefault("DO_NOT_TRACK", "true")

from mlflow import MlflowClient
from mlflow.entities import Param

from crt_track.sinks import Started, flat

LONGEST = 500
"""Characters of a parameter; MLflow refuses 6,000."""
AT_ONCE = 100
"""The most parameters that MLflow takes in a call."""


class MLflow:
    """A run of the experiment that has the name of the spec file."""

    def __init__(self, started: Started) -> None:
        self.client = MlflowClient()
        known = self.client.get_experiment_by_name(started.project)
        experiment = known.experiment_id if known else self.client.create_experiment(started.project)
        tags = {"crtcore.folder": str(started.folder)}
        self.run_id = self.client.create_run(experiment, run_name=started.name, tags=tags).info.run_id
        params = [Param(path, str(value)[:LONGEST]) for path, value in flat(started.spec).items()]
        for first in range(0, len(params), AT_ONCE):
            self.client.log_batch(self.run_id, params=params[first : first + AT_ONCE])

    def reading(self, stage: str, step: int, name: str, value: float) -> None:
        """Logs the metric STAGE/NAME at the step."""
        self.client.log_metric(self.run_id, f"{stage}/{name}", value, step=step)

    def end(self, numbers: Mapping[str, float], problem: str | None) -> None:
        """Logs the numbers as metrics, and ends the run as finished or failed."""
        for name, value in numbers.items():
            self.client.log_metric(self.run_id, name, value)
        if problem is not None:
            self.client.set_tag(self.run_id, "crtcore.problem", problem[:LONGEST])
        self.client.set_terminated(self.run_id, "FINISHED" if problem is None else "FAILED")
