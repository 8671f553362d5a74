"""trackio: SQLite in its own folder (`TRACKIO_DIR`), without a server; `trackio show` opens its page."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping

import trackio

from crt_track.sinks import Started, flat


class Trackio:
    """A run in trackio, on this machine alone unless trackio's own variables name a server."""

    def __init__(self, started: Started) -> None:
        config = {path: str(value) if isinstance(value, list) else value for path, value in flat(started.spec).items()}
        # In a context of its own: `init` ends the run before it in the same context, and runs of a sweep overlap.
        self.run = contextvars.Context().run(
            trackio.init, started.project, name=started.name, config=config, embed=False, auto_log_gpu=False,
            auto_log_cpu=False,
        )  # fmt: skip

    def reading(self, stage: str, step: int, name: str, value: float) -> None:
        """Logs STAGE/NAME at the step."""
        self.run.log({f"{stage}/{name}": value}, step=step)

    def end(self, numbers: Mapping[str, float], problem: str | None) -> None:
        """Logs the numbers as result/NAME, and ends the run."""
        if numbers:
            self.run.log({f"result/{name}": value for name, value in numbers.items()}, step=0)
        self.run.finish()
