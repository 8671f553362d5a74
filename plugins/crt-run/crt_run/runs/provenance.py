"""The provenance of results: versions and git state, and the environments of finished runs."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from crt_run.runs.records import read_json

SCRIPTS = ("crt", "crt.exe", "__main__.py")
_SETTINGS = ("device", "dtype", "threads", "machine", "python", "git")


def ran_on(folders: Iterable[Path]) -> dict[str, dict[str, list[str]]]:
    """Backends, settings and versions of finished runs, each with its distinct values."""
    environment: dict[str, dict[str, list[str]]] = {"backends": {}, "settings": {}, "versions": {}}
    for folder in folders:
        about = read_json(folder / "run.json", "backends", "versions", *_SETTINGS)
        settings = {name: about[name] for name in _SETTINGS}
        for what, facts in (("backends", about["backends"]), ("settings", settings), ("versions", about["versions"])):
            for name, value in facts.items():
                if str(value) not in environment[what].setdefault(name, []):
                    environment[what][name].append(str(value))
    return environment


def times(folders: Iterable[Path]) -> dict[str, str]:
    """When finished runs started and ended, how long they took, and the commands and data that they had."""
    runs = [read_json(folder / "run.json", "started", "ended", "command") for folder in folders]
    if not runs:
        return {}
    first, last = (_clock(pick(run[key] for run in runs)) for pick, key in ((min, "started"), (max, "ended")))
    took = timedelta(seconds=round(sum(run["ended"] - run["started"] for run in runs)))
    data = dict.fromkeys(run["dataset"]["checksum"] for run in runs if "dataset" in run)
    return {
        "started": first,
        "ended": last,
        "took": f"{took} (h:mm:ss){f', in all {len(runs)} runs' if len(runs) > 1 else ''}",
        "command": "; ".join(dict.fromkeys(_command(run["command"]) for run in runs)),
        **({"data": ", ".join(f"SHA-256 {each}" for each in data)} if data else {}),
    }


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _command(command: str) -> str:
    """A command as it is typed: the script that an interpreter ran is `crt`."""
    script, *words = shlex.split(command)
    return shlex.join(["crt" if Path(script).name in SCRIPTS else script, *words])


def versions() -> dict[str, str]:
    """Versions of the packages that a result depends on: this project's and the numeric ones.

    Cost: the first call in a process reads the metadata of every installed distribution.
    """
    return dict(_versions(tuple(sys.path)))


@cache
def _versions(places: tuple[str, ...]) -> dict[str, str]:
    ours = {dist.name: dist.version for dist in distributions(path=list(places)) if (dist.name or "").startswith("crt")}
    for name in ("torch", "numpy", "scipy", "scikit-learn", "safetensors", "xformers"):
        try:
            ours[name] = version(name)
        except PackageNotFoundError:
            continue
    return dict(sorted(ours.items()))


def git_state() -> str | None:
    """Commit of the current folder, with `-dirty` if files differ; None outside a repository."""
    try:
        process = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],  # noqa: S607
            capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()
