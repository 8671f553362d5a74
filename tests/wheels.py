"""Builds the wheels, installs them, and runs each plugin's tests on its wheel with no other plugin there.

Usage: python tests/wheels.py FOLDER, in an environment of its own with `build` and `hatchling` in it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))


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
    """Builds, installs, tests; leaves the environment without plugins."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    core = wheel(ROOT, folder)
    wheels = {plugin.name: wheel(plugin, folder) for plugin in PLUGINS}
    python("-m", "pip", "install", "--force-reinstall", "--no-deps", core)
    python("-m", "pip", "install", f"{core}[testing]")
    for plugin in PLUGINS:
        apart = folder / plugin.name
        shutil.copytree(plugin / "tests", apart / "tests")
        shutil.copy(ROOT / "pyproject.toml", apart)  # pytest's settings
        python("-m", "pip", "install", "--force-reinstall", "--no-deps", wheels[plugin.name])
        python("-m", "pip", "install", f"{wheels[plugin.name]}[testing]")  # what it and its tests need beside the core
        found = "import crtcore, pathlib; assert 'site-packages' in pathlib.Path(crtcore.__file__).parts; "
        python("-c", found + "assert not crtcore.discover().broken", cwd=apart)
        python("-m", "pytest", "-q", "tests", cwd=apart)
        python("-m", "pip", "uninstall", "--yes", plugin.name)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
