"""A GPU day: everything that waits for a GPU, most useful first, from one command without network or installation.

    python3 bench/gpu/day.py --minutes 9

Each part is a process of its own with its own time limit; one that crashes or takes too long does not affect the
others, and one that no longer fits is reported as not run. A line is printed as each part ends, and results are kept as
they come: in `bench/results/gpu-*.json`, and with `--out` (or the variable OUT) in one file that is carried home, which
`--unpack FILE` writes to `bench/results` there. Sources are taken from this checkout; wheels that lie in `.whl` are
installed for the day alone (`bench/gpu/carry` fetches them).
"""

from __future__ import annotations

import argparse
import datetime
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import results
from parts import PARTS, Part, rehearsed

HERE = Path(__file__).resolve().parent
REHEARSED = "CRT_GPU_REHEARSED"
"""As in machine.py, which imports torch."""
GRACE = 3.0
"""Seconds that a part has to stop by itself."""
LAST = 300
"""Characters of a part's last line that are printed."""


class Ended(NamedTuple):
    """The outcome of a part."""

    name: str
    what: str
    """What it was about, and in a rehearsal what it ran on."""
    status: str
    """`ran`, the failure, or the reason why it was not run."""
    seconds: float
    last: str
    """The last line that it printed."""

    @property
    def wrong(self) -> bool:
        """Whether it failed or took too long."""
        return self.status.startswith(("failed", "stopped"))

    def __str__(self) -> str:
        if self.status.startswith("not run"):
            return f"{self.name} ({self.what}): {self.status}"
        return f"{self.name} ({self.what}): {self.status} in {self.seconds:.1f} s: {self.last[-LAST:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0, help="For all parts together, preparation included.")
    parser.add_argument("--only", nargs="+", choices=[part.name for part in PARTS], help="These parts, in their order.")
    parser.add_argument("--out", type=Path, default=os.environ.get("OUT"), help="A folder for one file of all results.")
    parser.add_argument("--wheels", type=Path, default=results.ROOT / ".whl", help="A folder of carried wheels.")
    parser.add_argument("--rehearse", action="store_true", help="Each part shrunk, on the CPU.")
    parser.add_argument("--unpack", type=Path, metavar="FILE", help="Only write the results of a carried file.")
    arguments = parser.parse_args()
    if arguments.unpack:
        for path in results.unpacked(arguments.unpack):
            print(path)
        return
    until = time.monotonic() + 60 * arguments.minutes
    chosen = [part for part in PARTS if not arguments.only or part.name in arguments.only]
    if arguments.rehearse:
        chosen = [rehearsed(part) for part in chosen]
    with tempfile.TemporaryDirectory(prefix="gpu-day-") as scratch:
        print(prepared := prepare(Path(scratch), arguments.wheels), flush=True)
        environment = surroundings(Path(scratch), rehearsed=arguments.rehearse, out=arguments.out)
        os.environ.update({name: environment[name] for name in (results.OUT,) if name in environment})
        logs = Path(arguments.out or scratch)
        ended = day(chosen, until, environment, logs, prepared, verbose=not arguments.out)
    sys.exit(any(each.wrong for each in ended))


def day(
    parts: Sequence[Part],
    until: float,
    environment: Mapping[str, str],
    logs: Path,
    prepared: str = "",
    *,
    verbose: bool = False,
) -> list[Ended]:
    """Runs parts until a time of the monotonic clock, and keeps each outcome as soon as it is known.

    `verbose`: the end of what a failed part printed is shown, as no log is kept.
    """
    began, began_at = time.monotonic(), datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    log = logs / "gpu-day.log"
    about = {"began": began_at, "prepared": prepared, "rehearsed": environment.get(REHEARSED) == "1"}
    ended: list[Ended] = []
    for part in parts:
        ended.append(run(part, until - time.monotonic(), environment, log))
        print(ended[-1], flush=True)
        if verbose and ended[-1].wrong:
            print(log.read_text()[-4000:], flush=True)
        seconds = round(time.monotonic() - began, 1)
        results.write("day", {**about, "seconds": seconds, "parts": {each.name: each._asdict() for each in ended}})
    return ended


def run(part: Part, left: float, environment: Mapping[str, str], log: Path) -> Ended:
    """A part, and all the processes that it starts, for as long as it may take and is left."""
    if left < part.least:
        return Ended(
            part.name, part.what, f"not run: {max(left, 0):.0f} s are left, and it needs {part.least}", 0.0, ""
        )
    seconds, (script, *words) = min(part.most, left), part.command
    began = time.monotonic()
    with log.open("ab") as output:
        output.write(f"\n=== {part.name}\n".encode())
        output.flush()
        start = output.tell()
        with alive([sys.executable, str(HERE / script), *words], environment, output) as process:
            try:
                code = process.wait(seconds)
                status = "ran" if code == 0 else f"failed: status {code}"
            except subprocess.TimeoutExpired:
                status = f"stopped at its limit of {seconds:.0f} s"
    last = log.read_bytes()[start:].decode(errors="replace").strip().split("\n")[-1]
    if status == "ran" and last.startswith("not run: "):
        status = last
    return Ended(part.name, part.what, status, round(time.monotonic() - began, 1), last)


@contextmanager
def alive(command: Sequence[str], environment: Mapping[str, str], output: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, of which nothing is left afterwards, whatever happens in between."""
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        process_group=0,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            _signal(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
        _signal(process.pid, signal.SIGKILL)  # processes that the part left
        process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # all of it has ended
        os.killpg(group, number)


def prepare(scratch: Path, wheels: Path) -> str:
    """Makes the folder that parts import from beside the sources, and returns a summary of it."""
    site = scratch / "site"
    site.mkdir()
    declared = [declare(project, site) for project in projects()]
    carried = sorted(wheels.glob("*.whl"))
    summary = f"sources of {', '.join(declared)}; "
    if not carried:
        return f"{summary}no wheels in {wheels}"
    words = ("-q", "--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--target", str(site))
    command = [sys.executable, "-m", "pip", "install", *words, *map(str, carried)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if ended.returncode:
        return f"{summary}the {len(carried)} wheels in {wheels} could not be installed: {ended.stderr.strip()[-LAST:]}"
    return f"{summary}{len(carried)} wheels: {', '.join('-'.join(path.name.split('-')[:2]) for path in carried)}"


def projects() -> list[Path]:
    """The folders of this checkout that hold a distribution."""
    return [
        path.parent
        for path in (results.ROOT / "pyproject.toml", *sorted(results.ROOT.glob("plugins/*/pyproject.toml")))
    ]


def declare(project: Path, site: Path) -> str:
    """Writes the metadata of a distribution, so that plugins and versions are discovered without an installation."""
    about = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    name, version = about["name"], about["version"]
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    groups = about.get("entry-points", {})
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in each.items()) for group, each in groups.items()
    ]
    (folder / "entry_points.txt").write_text("\n".join(lines))
    return str(name)


def surroundings(scratch: Path, *, rehearsed: bool, out: Path | None) -> dict[str, str]:
    """The environment of parts: where sources are, and what compilers of other packages need."""
    paths = [scratch / "site", *projects()]
    environment = {
        "PYTHONPATH": os.pathsep.join([*map(str, paths), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "TMPDIR": str(scratch),
        "FLASHINFER_WORKSPACE_BASE": str(scratch),
        "PATH": os.pathsep.join([os.environ["PATH"], "/usr/local/cuda/bin"]),  # where tools usually are
        **toolkit(scratch),
    }
    if rehearsed:
        environment[REHEARSED] = "1"
    if out:
        Path(out).mkdir(parents=True, exist_ok=True)
        environment[results.OUT] = str(out)
    return environment


def toolkit(scratch: Path) -> dict[str, str]:
    """Headers and libraries for packages that compile at first use, from those that come with torch.

    A toolkit may lack some of them, and names without a version to link with; what a linker asks of the driver is only
    that there is a library of its name.
    """
    cuda = Path(sysconfig.get_path("purelib")) / "nvidia" / "cu13"
    runtime = cuda / "lib" / "libcudart.so.13"
    if not runtime.exists() or not (compiler := shutil.which("gcc")):
        return {}
    library = scratch / "lib"
    library.mkdir()
    (library / "libcudart.so").symlink_to(runtime)
    driver = [compiler, "-shared", "-x", "c", os.devnull, "-o", str(library / "libcuda.so"), "-Wl,-soname,libcuda.so.1"]
    subprocess.run(driver, check=True)
    return {
        name: os.pathsep.join([*filter(None, [os.environ.get(name)]), str(path)])
        for name, path in (("CPATH", cuda / "include"), ("LIBRARY_PATH", library))
    }


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the current part ends too
    main()
