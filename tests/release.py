"""Builds what a release has, and checks it: every package as a source archive and as the wheel that comes of it.

Descriptions must render, versions be equal, and the packages of the quickstart, in an empty environment with no source
beside them, must run a spec file. The changelog of the fragments is printed as it would be written.

Usage: python tests/release.py FOLDER, in an environment with `build`, `hatchling`, `twine`, `towncrier` and `uv`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "plugins"))
from install import about, handed, projects  # noqa: E402

RUN = ("crtcore[run]", "crt-vq", "crt-ar", "crt-verify")
"""What specs/smoke.toml needs."""


def call(*words: str | Path, cwd: Path = ROOT) -> str:
    """What a command prints; ends with it if it fails."""
    print("+", *words, flush=True)
    ended = subprocess.run([*map(str, words)], cwd=cwd, check=False, text=True, stdout=subprocess.PIPE)
    if ended.returncode:
        sys.exit(f"{ended.stdout}\nfailed: {' '.join(map(str, words))}")
    return ended.stdout


def built(folder: Path, known: dict[str, Path]) -> list[Path]:
    """Source archives and wheels of all packages.

    Raises: SystemExit if their names have not the one version, or a wheel has no licence.
    """
    for path in known.values():
        call(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, path)
    version = about(ROOT)["version"]
    names = {name.replace("-", "_") for name in known}
    expected = {f"{name}-{version}.tar.gz" for name in names} | {f"{name}-{version}-py3-none-any.whl" for name in names}
    files = sorted(folder.iterdir())
    if wrong := {path.name for path in files} ^ expected:
        sys.exit(f"expected one source archive and one wheel of version {version} of each package: {sorted(wrong)}")
    for wheel in folder.glob("*.whl"):
        if not any(name.endswith("licenses/LICENSE") for name in zipfile.ZipFile(wheel).namelist()):
            sys.exit(f"expected {wheel.name} to have the licence")
    return files


def runs(folder: Path, files: Path) -> None:
    """Installs wheels into an empty environment and runs a spec file there, in a folder that has nothing else.

    Raises: SystemExit if a package is missing, or if the run has no result.
    """
    empty, apart = folder / "empty", folder / "apart"
    uv = [sys.executable, "-m", "uv"]
    call(*uv, "venv", "-q", "--python", sys.executable, empty)
    python = empty / "bin" / "python"
    constraints = ["-c", str(ROOT / "constraints.txt")]
    settings = handed(call(sys.executable, "-m", "pip", "config", "list"), os.environ)
    links = settings.pop("UV_FIND_LINKS", os.environ.get("UV_FIND_LINKS", "")).split(",")
    os.environ.update(settings)
    find_links = [word for link in (files, *filter(None, links)) for word in ("--find-links", link)]
    call(*uv, "pip", "install", "-q", "--python", python, *find_links, *constraints, *RUN)
    call(*uv, "pip", "check", "--python", python)
    apart.mkdir()
    shutil.copy(ROOT / "specs" / "smoke.toml", apart)
    source = call(python, "-I", "-c", "import crtcore; print(crtcore.__file__, crtcore.__version__)", cwd=apart).split()
    if "site-packages" not in source[0] or source[1] != about(ROOT)["version"]:
        sys.exit(f"expected the installed crtcore, got {source}")
    listed = json.loads(call(empty / "bin" / "crt", "list", "--json", cwd=apart))
    if listed["broken"]:
        sys.exit(f"expected no plugin to fail, got {listed['broken']}")
    print(call(empty / "bin" / "crt", "run", "smoke.toml", cwd=apart))
    if len(list(apart.glob("runs/smoke/*/result.json"))) != 1:
        sys.exit("expected the run to have one result")


def main(folder: Path) -> None:
    """Builds, checks, installs, runs."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    files = built(folder / "files", projects())
    print(call(sys.executable, "-m", "twine", "check", "--strict", *files))
    print(call(sys.executable, "-m", "towncrier", "build", "--draft", "--version", about(ROOT)["version"]))
    runs(folder, folder / "files")
    print(f"{len(files)} files of {len(files) // 2} packages: built, checked, installed and run")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
