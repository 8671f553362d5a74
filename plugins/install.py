"""Installs packages of this repository, editable, with the packages here that they depend on.

uv installs them: it links files of its cache where pip copies them, so that an environment takes seconds. It reads
none of pip's settings, so an index, folders of links and constraints are handed on to it.

Usage: python plugins/install.py [OPTION OF `uv pip install` ...] REQUIREMENT ...

A requirement is such as `crt-vq`, `crtcore[run]` or `pytest`. With `--resolution lowest-direct`, what the packages here
name comes in the oldest version that they allow and that has a wheel.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?")
HANDED = {
    "index-url": "UV_INDEX_URL", "find-links": "UV_FIND_LINKS", "constraint": "UV_CONSTRAINT",
    "cert": "SSL_CERT_FILE", "proxy": "ALL_PROXY", "trusted-host": "UV_INSECURE_HOST",
}  # fmt: skip
"""Setting of pip to the variable that sets the same for uv."""
SYSTEM = "UV_SYSTEM_CERTS"


def projects() -> dict[str, Path]:
    """Name of each package here to its folder."""
    return {"crtcore": ROOT} | {path.parent.name: path.parent for path in ROOT.glob("plugins/*/pyproject.toml")}


def needed(requirement: str, known: dict[str, Path]) -> Iterator[str]:
    """The packages here that a requirement asks for, itself and through others."""
    match = REQUIREMENT.match(requirement)
    if match is None or match[1] not in known:
        return
    table = about(known[match[1]])
    extras = [extra.strip() for extra in (match[2] or "").split(",") if extra.strip()]
    yield match[1]
    for other in [
        *table["dependencies"],
        *(each for extra in extras for each in table["optional-dependencies"][extra]),
    ]:
        yield from needed(other, known)


def about(folder: Path) -> dict[str, Any]:
    """The table `project` of a package's pyproject.toml."""
    table: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def words(requirements: Sequence[str]) -> list[str]:
    """What uv is given: options and outside packages as they are, packages here as editable folders."""
    known = projects()
    here = dict.fromkeys(name for each in requirements for name in needed(each, known))
    extras = {match[1]: f"[{match[2]}]" for each in requirements if (match := REQUIREMENT.match(each)) and match[2]}
    outside = [each for each in requirements if (match := REQUIREMENT.match(each)) is None or match[1] not in known]
    return [*outside, *(word for name in here for word in ("-e", f"{known[name]}{extras.get(name, '')}"))]


def handed(settings: str, given: Mapping[str, str]) -> dict[str, str]:
    """Variables for uv by the lines of `pip config list`, but for those that are given.

    As pip does, uv trusts the certificates of the system.
    """
    variables = {} if SYSTEM in given else {SYSTEM: "1"}
    for line in sorted(settings.splitlines(), key=_rank):  # such as :env:.find-links='/a /b'; the last one holds
        setting, _, value = line.partition("=")
        variable = HANDED.get(setting.rpartition(".")[2])
        if variable and variable not in given:
            words = value.strip("'").replace("\\n", " ").split()
            variables[variable] = ("," if variable == "UV_FIND_LINKS" else " ").join(words)
    return variables


def _rank(line: str) -> int:
    """What holds over what: settings of all commands, those of `pip install`, and variables, whatever their order."""
    return 2 if line.startswith(":env:") else 1 if line.startswith("install.") else 0


def uv(command: str, *words: str) -> None:
    """Runs `uv pip` on this environment by pip's settings, and ends with it if it fails."""
    pip = [sys.executable, "-m", "pip", "config", "list"]
    settings = subprocess.run(pip, check=True, capture_output=True, text=True).stdout
    ended = subprocess.run(
        [sys.executable, "-m", "uv", "pip", command, "--python", sys.executable, *words],
        check=False, env={**os.environ, **handed(settings, os.environ)},
    )  # fmt: skip
    if ended.returncode:
        sys.exit(ended.returncode)


def shares_packages(environment: Path) -> bool:
    """Whether an environment sees the packages of the Python that it was made of, which uv would install again."""
    settings = environment / "pyvenv.cfg"
    text = settings.read_text(encoding="utf-8") if settings.is_file() else ""
    return re.search(r"(?m)^include-system-site-packages *= *true", text) is not None


def main(requirements: Sequence[str]) -> None:
    """Installs uv where it is missing, then everything at once; with pip where packages of the system are to stay."""
    if shares_packages(Path(sys.prefix)):
        sys.exit(subprocess.run([sys.executable, "-m", "pip", "install", *words(requirements)], check=False).returncode)
    if importlib.util.find_spec("uv") is None:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "uv"], check=True)
    uv("install", *words(requirements))


if __name__ == "__main__":
    main(sys.argv[1:])
