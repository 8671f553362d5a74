"""Builds the wheels, and runs each package's tests on its wheel beside the wheels that it names, and no others.

Usage: python tests/wheels.py FOLDER, in an environment of its own with `build` and `hatchling` in it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "plugins"))
from install import needed, projects  # noqa: E402

TOOLS = ("pytest-timeout", "pytest-xdist", "sacrebleu")


def python(*words: str | Path, cwd: Path = ROOT) -> None:
    """Runs this environment's Python, and ends with it if it fails."""
    print("+ python", *words, flush=True)  # noqa: T201
    subprocess.run([sys.executable, *map(str, words)], cwd=cwd, check=True)


def wheel(package: Path, folder: Path) -> Path:
    """The wheel of a package, built now."""
    into = folder / "wheels" / package.name
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", into, package)
    (built,) = into.glob("*.whl")
    return built


def main(folder: Path) -> None:
    """Builds, installs, tests; leaves the environment without packages of this repository."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    known = projects()
    wheels = {name: wheel(path, folder) for name, path in known.items()}
    python("-m", "pip", "install", "-q", *TOOLS, *wheels.values())  # what they need from elsewhere
    failed = []
    for name, path in known.items():
        if name == "crtcore":
            continue
        python("-m", "pip", "uninstall", "-q", "--yes", *known)
        beside = dict.fromkeys(needed(f"{name}[testing]", known)) if name != "crt-laws" else needed(name, known)
        python("-m", "pip", "install", "-q", "--no-deps", *(wheels[each] for each in beside))
        apart = folder / name
        for part in (Path("specs"), Path("bench"), (path / "tests").relative_to(ROOT)):  # but no source
            shutil.copytree(ROOT / part, apart / part)
        shutil.copy(path / "README.md", apart / path.relative_to(ROOT))
        shutil.copy(ROOT / "pyproject.toml", apart)  # pytest's settings
        installed = "import crtcore, pathlib; assert 'site-packages' in pathlib.Path(crtcore.__file__).parts; "
        python("-c", installed + "assert not crtcore.discover().broken", cwd=apart)
        try:
            python("-m", "pytest", "-q", "-n", "2", "-m", "not slow", "plugins", cwd=apart)
        except subprocess.CalledProcessError:
            failed.append(name)
    if failed:
        sys.exit(f"failed on wheels: {', '.join(failed)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
