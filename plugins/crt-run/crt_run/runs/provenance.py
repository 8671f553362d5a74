"""What made a result: versions, machine and git state, and what finished runs have in common."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from crt_run.runs.records import read_json

_SETTINGS = ("device", "dtype", "threads", "machine", "python", "git")


def ran_on(folders: Iterable[Path]) -> dict[str, dict[str, list[str]]]:
    """What finished runs ran on: backends, settings and versions, each with every value there was."""
    found: dict[str, dict[str, list[str]]] = {"backends": {}, "settings": {}, "versions": {}}
    for folder in folders:
        about = read_json(folder / "run.json", "backends", "versions", *_SETTINGS)
        settings = {name: about[name] for name in _SETTINGS}
        for what, facts in (("backends", about["backends"]), ("settings", settings), ("versions", about["versions"])):
            for name, value in facts.items():
                if str(value) not in found[what].setdefault(name, []):
                    found[what][name].append(str(value))
    return found


def versions() -> dict[str, str]:
    """Versions of what a result depends on: this project's packages and the numeric ones."""
    ours = {dist.name: dist.version for dist in distributions() if dist.name.startswith("crt")}
    for name in ("torch", "numpy", "scipy", "scikit-learn", "safetensors", "xformers"):
        try:
            ours[name] = version(name)
        except PackageNotFoundError:
            continue
    return dict(sorted(ours.items()))


def git_state() -> str | None:
    """Commit of the folder the command was given in, with `-dirty` if files differ; None outside a repository."""
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],  # noqa: S607
            capture_output=True, text=True, timeout=5, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip()
