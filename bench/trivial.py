"""Plugins and sweeps with next to nothing in them, so that what is left is the framework's own time."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

EXPERIMENT = '''"""An experiment that trains nothing."""
from typing import Any, ClassVar
import attrs
from crtcore.hooks import Component, hookimpl
from crtcore.kinds import ExperimentSpec, Findings, Measurement

@attrs.frozen(kw_only=True)
class Trivial(ExperimentSpec):
    """One number."""
    roles: ClassVar[dict[str, Any]] = {}
    stages: ClassVar[dict[str, str]] = {}
    value: int = 0
    """The number."""
    def build(self) -> Any:
        return lambda plan, run: Findings({"value": Measurement(self.value, "", 1)})

@hookimpl
def crt_components() -> list[Component]:
    return [Component("trivial", spec=Trivial, summary="one number", examples=(Trivial(),))]
'''
COMPONENT = '''"""A plugin of one component."""
import attrs
from crtcore.hooks import Component, hookimpl
from crtcore.kinds import BottleneckSpec
from crtcore.spec import at_least

@attrs.frozen(kw_only=True)
class Code(BottleneckSpec):
    """Codes."""
    implementation = "crt_small{number}.codes:Codes"
    codes: int = attrs.field(default=16, validator=at_least(2))
    """How many."""
    width: int = attrs.field(default=8, validator=at_least(1))
    """Channels."""

@hookimpl
def crt_components() -> list[Component]:
    return [Component("small-{number}", spec=Code, summary="codes", examples=(Code(),))]
'''
SWEEP = """
name = "trivial"
[experiment]
use = "trivial"
[sweep]
seed = {seeds}
"""
MEASURED = """
import json, re, sys
from pathlib import Path
from crt_cli.commands import main
if __name__ == "__main__":  # workers import this file
    try:
        main(sys.argv[2:])
    finally:  # by /proc, as the peak that getrusage returns is that of the parent too
        peak = re.search("VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())
        Path(sys.argv[1]).write_text(json.dumps(int(peak[1]) / 1024))
"""


class Swept(NamedTuple):
    """What a sweep took: seconds, and MiB of the process that handed out its points at most."""

    points: int
    elapsed: float
    used: float
    memory: float


def write_package(site: Path, name: str, plugin: str) -> None:
    """A package with one module as it lies in an installation, with what names its entry point."""
    folder, about = site / f"crt_{name}", site / f"crt_{name}-0.1.dist-info"
    folder.mkdir(parents=True)
    about.mkdir()
    (folder / "__init__.py").write_text('"""A plugin."""\n')
    (folder / "plugin.py").write_text(plugin)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: crt-{name}\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text(f"[crtcore]\n{name} = crt_{name}.plugin\n")


def write_experiment(site: Path) -> Path:
    """A folder of packages, with one that brings the experiment `trivial`."""
    write_package(site, "trivial", EXPERIMENT)
    return site


def write_plugins(site: Path, count: int) -> Path:
    """A folder of packages, with plugins of one component each."""
    site.mkdir()
    for number in range(count):
        write_package(site, f"small{number}", COMPONENT.format(number=number))
    return site


def environment(site: Path) -> dict[str, str]:
    """The variables of a process that finds the packages of `site` too; it compiles sources once, as usual."""
    paths = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": paths}


def sweep(site: Path, folder: Path, points: int) -> Swept:
    """Runs a sweep of points that do nothing.

    Raises: CalledProcessError if it fails.
    """
    folder.mkdir()
    (folder / "spec.toml").write_text(SWEEP.format(seeds=list(range(points))))
    (folder / "driver.py").write_text(MEASURED)
    words = [str(folder / "driver.py"), str(folder / "memory"), "sweep", "spec.toml", "--json"]
    elapsed, used = timed([sys.executable, *words], site, folder)
    return Swept(points, elapsed, used, json.loads((folder / "memory").read_text()))


def listing(site: Path) -> tuple[float, float]:
    """Seconds of `crt list`: elapsed, and of the processor."""
    return timed([sys.executable, "-m", "crt_cli", "list"], site, site)


def timed(words: list[str], site: Path, folder: Path) -> tuple[float, float]:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(words, cwd=folder, env=environment(site), check=True, **quiet)  # type: ignore[call-overload]
    elapsed, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
