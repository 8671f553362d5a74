"""The option `--track`: the trackers of crt-track are chosen before anything is trained."""

from __future__ import annotations

import importlib.util
import os

from crtcore.errors import RunError
from crtcore.spec import resolve

VARIABLE = "CRT_TRACK"
"""The environment variable in which crt-track reads which trackers are chosen."""


def tracked(names: tuple[str, ...]) -> None:
    """Chooses trackers for the runs of this process.

    Raises: RunError if crt-track or the library of a tracker is missing, NotInstalled if there is no such tracker.
    """
    chosen = [each for name in names for each in name.replace(",", " ").split()]
    if not chosen:
        return
    if importlib.util.find_spec("crt_track") is None:
        raise RunError(f"--track {chosen[0]}: expected crt-track, got none: pip install 'crt-track[{chosen[0]}]'")
    resolve("crt_track.sinks:check")(chosen)
    os.environ[VARIABLE] = " ".join(chosen)
