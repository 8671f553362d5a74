"""Processes that decode batches ahead, in the order in which they will be taken.

Each is a program of its own, without torch: it starts in a fraction of a second, and nothing of the trainer is copied
into it, such as a state of CUDA that a fork would break. Requests are lines of JSON, pixels lie in shared memory.
Axes: b batch, c colour channels, h height, w width.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import weakref
from collections import OrderedDict, deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from crt_data.readers import Place
from crtcore.errors import RunError

AHEAD = 3
"""Batches that are decoded before they are taken."""
SLOTS = AHEAD + 1
"""Batches that fit into the shared memory: those ahead, and one that is taken."""
PATIENCE = 5.0
"""Seconds to wait for the status of a process that has closed its output."""


@attrs.define
class _Task:
    """A batch that is being decoded."""

    slot: int
    rows: int
    problems: dict[int, str] = attrs.Factory(dict)
    """What is wrong with the part of a process."""


class Workers:
    """Processes that decode crops of images."""

    def __init__(self, count: int, reader: Sequence[Any], size: int) -> None:
        self._owner: str = reader[1]
        self._size = size
        self._room = 0
        """Rows of a slot."""
        self._tasks: OrderedDict[bytes, _Task] = OrderedDict()
        self._memory = _shared()
        self._mapped: mmap.mmap | None = None
        self._processes = [_started(self._memory, {"reader": list(reader), "size": size}) for _ in range(count)]
        self._queues: list[deque[bytes]] = [deque() for _ in range(count)]
        self._ended = False
        weakref.finalize(self, _end, self._processes, self._memory)

    def begin(self, key: bytes, places: Sequence[Place], words: Sequence[Sequence[int]] | None) -> None:
        """Begins to decode a batch, unless it has begun or is empty; the oldest one that nobody took makes room.

        Raises: RunError if a process has died.
        """
        if key in self._tasks or not places:
            return
        if len(places) > self._room:
            self._grow(len(places))
        if len(self._tasks) == SLOTS:
            self.finish(next(iter(self._tasks)), wanted=False)
        (slot, *_) = set(range(SLOTS)) - {task.slot for task in self._tasks.values()}
        self._tasks[key] = _Task(slot, len(places))
        bounds = [len(places) * part // len(self._processes) for part in range(len(self._processes) + 1)]
        for number, (first, last) in enumerate(pairwise(bounds)):
            if first == last:
                continue
            request = {
                "at": self._at(slot) + first * self._row,
                "end": SLOTS * self._room * self._row,
                "places": list(places[first:last]),
                "words": words and list(words[first:last]),
            }
            self._queues[number].append(key)
            self._send(number, request)

    def finish(self, key: bytes, *, wanted: bool = True) -> NDArray[np.uint8] | None:
        """The pixels of a batch that has begun, b c h w, valid until the next one begins; None if it has not.

        Raises: RunError if an image of it cannot be read, or a process has died.
        """
        if key not in self._tasks:
            return None
        task = self._tasks[key]
        for number, queue in enumerate(self._queues):
            while key in queue:
                self._receive(number)
        del self._tasks[key]
        if not wanted:
            return None
        if task.problems:
            raise RunError(task.problems[min(task.problems)])
        assert self._mapped is not None
        shape = (task.rows, 3, self._size, self._size)
        return np.ndarray(shape, np.uint8, self._mapped, self._at(task.slot))

    @property
    def processes(self) -> list[int]:
        """The ids of the processes."""
        return [process.pid for process in self._processes]

    @property
    def _row(self) -> int:
        return 3 * self._size**2

    def _at(self, slot: int) -> int:
        return slot * self._room * self._row

    def _grow(self, rows: int) -> None:
        """Makes room for batches of that many rows; what was begun is decoded again when it is taken."""
        for key in list(self._tasks):
            self.finish(key, wanted=False)
        self._room = rows
        os.ftruncate(self._memory, SLOTS * rows * self._row)
        self._mapped = mmap.mmap(self._memory, SLOTS * rows * self._row)

    def _send(self, number: int, request: dict[str, Any]) -> None:
        stream = self._processes[number].stdin
        assert stream is not None
        try:
            stream.write(f"{json.dumps(request)}\n")
            stream.flush()
        except (BrokenPipeError, ValueError) as error:
            raise self._dead(number) from error

    def _receive(self, number: int) -> None:
        """Reads the reply to a process's oldest request."""
        stream = self._processes[number].stdout
        assert stream is not None
        line = "" if self._ended else stream.readline()
        if not line.endswith("\n"):
            raise self._dead(number)
        task = self._tasks[self._queues[number].popleft()]
        if problem := json.loads(line)["problem"]:
            task.problems[number] = problem

    def _dead(self, number: int) -> RunError:
        """Ends all processes; the error of one that has died."""
        status = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = self._processes[number].wait(PATIENCE)
        self._ended = True
        _end(self._processes)
        if status is not None and status < 0:
            with contextlib.suppress(ValueError):
                return self._lost(number, f"by {signal.Signals(-status).name}")
        return self._lost(number, f"with status {status}")

    def _lost(self, number: int, how: str) -> RunError:
        return RunError(
            f"{self._owner}: process {number + 1} of {len(self._processes)} that decodes images ended {how}; "
            "give the same command again, and if memory ran out, set `workers` to fewer"
        )


def _shared() -> int:
    """The descriptor of a file in memory, which no other program sees and which goes with those that have it open."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("crt-data")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _started(memory: int, about: dict[str, Any]) -> subprocess.Popen[str]:
    """A process that decodes; it imports from the same places as this one."""
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-P", "-m", "crt_data.worker", str(memory)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=[memory],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.curdir for path in sys.path)},
    )  # fmt: skip
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # one that died at once is noticed with the first batch
        process.stdin.write(f"{json.dumps(about)}\n")
        process.stdin.flush()
    return process


def _end(processes: Sequence[subprocess.Popen[str]], memory: int | None = None) -> None:
    """Ends processes at once: what they have is in memory alone."""
    for process in processes:
        process.kill()
    for process in processes:
        process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):  # of what was not sent
                if stream is not None:
                    stream.close()
    if memory is not None:
        os.close(memory)
