"""Builds the wheels, and runs each package's tests on its wheel beside the wheels that it names, and no others.

What is the same on a wheel and on its source is tried less often here: a test without a number of examples of its own
has 8, and so has a law. `tox run -e plugins` tries all.

Usage: python tests/wheels.py FOLDER [PYTEST OPTION ...], in an environment of its own with `build`, `hatchling` and
`uv` in it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "plugins"))
from install import needed, projects, uv  # noqa: E402

FEW = """\
from hypothesis import settings

settings.register_profile("few", max_examples=8, deadline=None, derandomize=True)
settings.load_profile("few")
"""
"""The `conftest.py` around a package's tests; profiles that these make inherit it."""
TOOLS = ("pyarrow", "pytest-timeout", "pytest-xdist", "sacrebleu")


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


def beside(name: str, known: Mapping[str, Path]) -> list[str]:
    """The packages here that a package's tests have, itself among them."""
    return list(dict.fromkeys(needed(name if name == "crt-laws" else f"{name}[testing]", dict(known))))


def change(old: Iterable[str], new: Iterable[str], wheels: Mapping[str, Path]) -> None:
    """Leaves the packages of `new` installed, where those of `old` were."""
    if gone := sorted({*old} - {*new}):
        uv("uninstall", "-q", *gone)
    if fresh := sorted({*new} - {*old}):
        uv("install", "-q", "--no-deps", *(str(wheels[each]) for each in fresh))


def main(folder: Path, options: list[str]) -> None:
    """Builds, installs, tests; leaves the environment without packages of this repository."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    known = projects()
    wheels = {name: wheel(path, folder) for name, path in known.items()}
    uv("install", "-q", *TOOLS, *map(str, wheels.values()))  # what they need from elsewhere
    failed, there = [], list(known)
    for name, path in known.items():
        if name == "crtcore":
            continue
        change(there, there_next := beside(name, known), wheels)
        there = there_next
        apart = folder / name
        for part in (Path("specs"), Path("bench"), (path / "tests").relative_to(ROOT)):  # but no source
            shutil.copytree(ROOT / part, apart / part)
        shutil.copy(path / "README.md", apart / path.relative_to(ROOT))
        shutil.copy(ROOT / "pyproject.toml", apart)  # pytest's settings
        if name != "crt-laws":  # its offenders need all examples
            (apart / "conftest.py").write_text(FEW)
        installed = "import crtcore, pathlib; assert 'site-packages' in pathlib.Path(crtcore.__file__).parts; "
        python("-c", installed + "assert not crtcore.discover().broken", cwd=apart)
        try:
            python("-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", *options, "plugins", cwd=apart)
        except subprocess.CalledProcessError:
            failed.append(name)
    change(there, (), wheels)
    if failed:
        sys.exit(f"failed on wheels: {', '.join(failed)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
