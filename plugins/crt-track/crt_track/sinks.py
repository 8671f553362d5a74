"""Sinks: what writes the readings of one run to one tracker, and which there are."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from crtcore.errors import RunError, in_one_line, nearest
from crtcore.registry import NotInstalled
from crtcore.spec import resolve


class Started(NamedTuple):
    """A run that starts."""

    project: str
    """The name of its spec file, which is that of all its runs."""
    name: str
    """Its hash, and when it was started: a run that is started again is another one to a tracker."""
    folder: Path
    spec: Mapping[str, Any]
    """The resolved spec file."""


class Sink(Protocol):
    """One run in one tracker; every method may raise whatever the tracker's library raises."""

    def reading(self, stage: str, step: int, name: str, value: float) -> None:
        """Writes a reading of a stage."""

    def end(self, numbers: Mapping[str, float], problem: str | None) -> None:
        """Writes the numbers of the result, and ends the run; `problem` is why it has none."""


class Tracker(NamedTuple):
    """A tracker that can be chosen."""

    module: str
    """The library that it needs."""
    opens: str
    """`package.module:name` of what opens a sink for a `Started`."""


TRACKERS: Mapping[str, Tracker] = {
    "mlflow": Tracker("mlflow", "crt_track.mlflow_sink:MLflow"),
    "tensorboard": Tracker("tensorboard", "crt_track.tensorboard_sink:TensorBoard"),
    "trackio": Tracker("trackio", "crt_track.trackio_sink:Trackio"),
    "wandb": Tracker("wandb", "crt_track.wandb_sink:Wandb"),
}


def check(names: Sequence[str]) -> None:
    """Imports the libraries of these trackers, so that what is wrong with one shows before anything is trained.

    Raises: NotInstalled if a name is no tracker; RunError if its library is not installed or cannot be imported.
    """
    for name in names:
        if name not in TRACKERS:
            raise NotInstalled(f"--track {name}: expected a tracker{nearest(name, list(TRACKERS))}")
        if importlib.util.find_spec(TRACKERS[name].module) is None:
            library = TRACKERS[name].module
            raise RunError(f"--track {name}: expected the library {library}, got none: pip install 'crt-track[{name}]'")
        try:
            resolve(TRACKERS[name].opens)
        except Exception as error:  # whatever the import of a library raises
            raise RunError(f"--track {name}: its library cannot be imported ({in_one_line(error)})") from error


def opened(name: str, started: Started) -> Sink:
    """The sink of a tracker for a run that starts."""
    opens: Callable[[Started], Sink] = resolve(TRACKERS[name].opens)
    return opens(started)


def flat(values: Any, path: str = "") -> dict[str, Any]:
    """The values of a spec file by dotted paths, for trackers whose settings are one table."""
    if isinstance(values, Mapping) and values:
        pairs: Any = values.items()
    elif isinstance(values, list | tuple) and any(isinstance(each, Mapping) for each in values):
        pairs = enumerate(values)
    else:
        return {path: values}
    return {
        name: value for key, each in pairs for name, value in flat(each, f"{path}.{key}" if path else str(key)).items()
    }
