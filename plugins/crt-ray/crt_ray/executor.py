"""The executor: starts a process that talks to Ray, and talks to it in lines of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

import attrs

from crt_ray.spec import Ray
from crtcore.errors import RunError, cut
from crtcore.kinds import Done, Json, Work

LIMIT = 20.0
"""Seconds in which a cluster must answer; Ray itself tries for more than ten minutes."""
START = 180.0
"""Seconds in which a Ray that is started here must answer."""
KEPT = "what is finished is kept, and the same command goes on from there"
DRIVER = ["-m", "crt_ray.driver"]
QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}
"""Environment of Ray: it sends nothing about its use."""


class RayTasks:
    """A task of Ray for each piece."""

    def __init__(self, spec: Ray) -> None:
        self.spec = spec
        try:
            version("ray")
        except PackageNotFoundError as error:
            raise RunError("executor ray: expected the library ray, got none: pip install 'crt-ray[ray]'") from error

    def run(self, work: Work, pieces: Sequence[Json], report: Callable[[int, Json], None]) -> Iterator[Done]:
        """Does all pieces; closing the iterator stops them and waits until they have saved.

        An interrupt during that wait kills them.
        Raises: RunError if no cluster answers or has room for a piece, or if it is lost.
        """
        if not pieces:
            return
        with tempfile.TemporaryFile() as log:
            process = _started(log)
            try:
                self._connect(process, log, report)
                _send(process, _orders(work, pieces, self.spec.threads))
                yield from self._ended(process, log, len(pieces), report)
            finally:
                _dismiss(process)

    def _connect(self, process: subprocess.Popen[bytes], log: IO[bytes], report: Callable[[int, Json], None]) -> None:
        """Waits until Ray is ready.

        Raises: RunError if it is not.
        """
        limit = START if self.spec.address == "local" else LIMIT
        late = _Limit(process, limit)
        _send(process, attrs.asdict(self.spec))
        try:
            for line in _lines(process):
                if line["state"] == "connecting":
                    late.start()
                elif line["state"] == "ready":
                    if line["note"]:
                        report(0, {"event": "note", "text": line["note"]})
                    return
                else:
                    raise RunError(f"executor ray: {line['problem']}")
        finally:
            late.cancel()
        status, words = _end(process, log)
        if late.over and "AuthToken" in words:
            what = "refuses this command, which has no token or another one; try again with RAY_AUTH_MODE=token"
            raise RunError(f"executor ray: the Ray cluster at {self.spec.address!r} {what} in the environment")
        if late.over:
            what = f"expected a Ray cluster at {self.spec.address!r}, got no answer in {limit:g} s"
            raise RunError(f"executor ray: {what}; look at `ray status`, or let executor.address = 'local' start Ray")
        raise RunError(f"executor ray: the process that talks to Ray ended with status {status}: {words}")

    def _ended(
        self, process: subprocess.Popen[bytes], log: IO[bytes], left: int, report: Callable[[int, Json], None]
    ) -> Iterator[Done]:
        """Each piece as it ends.

        Raises: RunError if Ray is lost before all have ended.
        """
        problem = None
        for line in _lines(process):
            if "state" in line:
                problem = line.get("problem")
                break
            if "event" in line:
                report(line["place"], line["event"])
            else:
                left -= 1
                yield Done(line["place"], line["answer"], line["problem"])
        if left:
            if problem is None:
                status, words = _end(process, log)
                problem = f"the process that talks to it ended with status {status}: {words}"
            raise RunError(f"executor ray: Ray was lost: {problem}; {KEPT}")


class _Limit(threading.Timer):
    """Kills the process after some seconds: while it connects, Ray heeds no signal."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        super().__init__(seconds, self._end)
        self.process = process
        self.over = False

    def _end(self) -> None:
        self.over = True
        self.process.kill()


def _started(log: IO[bytes]) -> subprocess.Popen[bytes]:
    """The process, which looks for modules where this one does; a Ctrl-C of the terminal reaches neither it nor Ray."""
    return subprocess.Popen(  # noqa: S603  # of this package
        [sys.executable, *DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
        env={**os.environ, **QUIET, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}, start_new_session=True,
    )  # fmt: skip


def _orders(work: Work, pieces: Sequence[Json], threads: int) -> list[str]:
    """For each piece what its task is given."""
    name = f"{work.__module__}:{work.__qualname__}"
    path = [str(Path(each).resolve()) for each in filter(None, sys.path)]
    more = {"work": name, "folder": str(Path.cwd()), "path": path, "threads": threads}
    return [json.dumps({**more, "piece": piece}) for piece in pieces]


def _send(process: subprocess.Popen[bytes], values: Any) -> None:
    """One line to the process; if it has ended, `_lines` has nothing more."""
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(values).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return


def _lines(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """What the process sends, until it ends."""
    assert process.stdout is not None
    for text in process.stdout:
        yield json.loads(text)


def _end(process: subprocess.Popen[bytes], log: IO[bytes]) -> tuple[int, str]:
    """The status with which the process ended, and the last line that it printed."""
    status = process.wait()
    log.seek(0)
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return status, cut(lines[-1]) if lines else "it printed nothing"


def _dismiss(process: subprocess.Popen[bytes]) -> None:
    """Asks for a stop, and waits until all pieces have saved."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        with process.stdin:
            pass
        while os.read(process.stdout.fileno(), 1 << 16):  # as bytes: an interrupt may have split a line
            pass
        process.wait()
    finally:
        process.kill()
        process.stdout.close()
