"""Where jobs wait and run: a Slurm cluster, or processes of this machine that submitit starts in its place.

submitit writes pickles into its folder, of the function's name and the path of a piece, and reads them in jobs. Nothing
here reads one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from crt_run.executors.local import processors
from crt_slurm.job import do
from crt_slurm.spec import Slurm
from crtcore.errors import RunError

ARRAY = 1_000
"""Jobs of an array: Slurm's own limit is 1,001, unless a cluster sets another."""
PATIENCE = 10.0
"""Seconds in which a process here ends after its answer."""
CONTROLLER = "submitit.local._local"
"""What the command line of a process that stands for a job here has."""


class Queue(Protocol):
    """Submits jobs and stops them; a job is known by its id."""

    room: int
    """Jobs that are submitted at a time; 0: all at once."""
    pause: float
    """Seconds between two looks at the folders of jobs."""
    look: float
    """Seconds between two looks at the queue."""

    def submit(self, folders: Sequence[Path]) -> list[str]:
        """Submits a job for each folder, and returns their ids.

        Raises: RunError if they are refused.
        """

    def alive(self, jobs: Iterable[str]) -> set[str]:
        """Those that wait or run, or may do so."""

    def terminate(self, jobs: Iterable[str]) -> None:
        """Removes those that wait, and sends SIGTERM to those that run."""

    def kill(self, jobs: Iterable[str]) -> None:
        """Ends all at once."""

    def close(self) -> None:
        """Waits until what was started here has ended."""


class Cluster:
    """Job arrays of Slurm."""

    room, pause, look = 0, 1.0, 15.0

    def __init__(self, spec: Slurm) -> None:
        for command in ("sbatch", "squeue", "scancel"):
            if shutil.which(command) is None:
                raise RunError(
                    f"executor slurm: expected Slurm's command {command}, got none; give the command on a machine that "
                    "submits jobs, or set executor.cluster=local to try it here"
                )
        self.spec = spec
        parameters = {
            "slurm_partition": spec.partition, "slurm_account": spec.account, "gpus_per_node": spec.gpus,
            "mem_gb": spec.memory,
        }  # fmt: skip
        self.executor = submitit.AutoExecutor(folder=Path(spec.folder) / "submitit", cluster="slurm")
        self.executor.update_parameters(
            name="crt", timeout_min=spec.minutes, cpus_per_task=spec.cpus, tasks_per_node=1,
            **{name: value for name, value in parameters.items() if value},
        )  # fmt: skip

    def submit(self, folders: Sequence[Path]) -> list[str]:
        """Submits arrays, which share the jobs that may run at a time.

        Raises: RunError with what sbatch says if it refuses them.
        """
        parts = [folders[start : start + ARRAY] for start in range(0, len(folders), ARRAY)]
        ids = []
        for part in parts:
            if self.spec.parallel:
                self.executor.update_parameters(slurm_array_parallelism=max(1, self.spec.parallel // len(parts)))
            try:
                ids += [job.job_id for job in self.executor.map_array(do, list(map(str, part)))]
            except (FailedJobError, FailedSubmissionError) as error:
                raise RunError(f"executor slurm: sbatch refused the jobs: {_line(error)}") from error
        return ids

    def alive(self, jobs: Iterable[str]) -> set[str]:
        """By squeue; where it gives no answer, all may be alive."""
        asked = set(jobs)
        words = ["squeue", "--noheader", "--array", "--me", "--format=%i %F_%K %F"]
        try:
            ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
        except (OSError, subprocess.SubprocessError):
            return asked
        return asked & set(ended.stdout.split())

    def terminate(self, jobs: Iterable[str]) -> None:
        """A signal to the steps of a job is one to its Python process."""
        asked = sorted(jobs)
        self._scancel("--state=PENDING", *asked)
        self._scancel("--signal=TERM", "--state=RUNNING", *asked)

    def kill(self, jobs: Iterable[str]) -> None:
        """Slurm has its own patience between SIGTERM and SIGKILL."""
        self._scancel(*sorted(jobs))

    def close(self) -> None:
        """Nothing was started here."""

    def _scancel(self, *words: str) -> None:
        with contextlib.suppress(OSError, subprocess.SubprocessError):  # of jobs that have ended, too
            subprocess.run(["scancel", "--quiet", *words], check=False, timeout=60, capture_output=True)  # noqa: S603, S607


class Here:
    """A few processes of this machine, each of which stands for a job; they go on where the command is killed."""

    pause, look = 0.05, 0.5

    def __init__(self, spec: Slurm) -> None:
        self.room = spec.parallel or processors()
        self.executor = submitit.AutoExecutor(folder=Path(spec.folder) / "submitit", cluster="local")
        self.executor.update_parameters(timeout_min=spec.minutes, gpus_per_node=spec.gpus)
        self.jobs: dict[str, Any] = {}

    def submit(self, folders: Sequence[Path]) -> list[str]:
        """Starts a process for each; a Ctrl-C reaches none of them."""
        with _uninterrupted():
            jobs = [self.executor.submit(do, str(folder)) for folder in folders]
        self.jobs |= {job.job_id: job for job in jobs}
        return [job.job_id for job in jobs]

    def alive(self, jobs: Iterable[str]) -> set[str]:
        """By the processes, of those that another command has started, too."""
        return {job for job in jobs if self._alive(job)}

    def _alive(self, job: str) -> bool:
        if job in self.jobs:
            return not self.jobs[job].done()
        words = ["ps", "-ww", "-o", "command=", "-p", job]
        command = subprocess.run(words, capture_output=True, text=True, check=False).stdout  # noqa: S603
        return CONTROLLER in command and str(self.executor.folder) in command

    def terminate(self, jobs: Iterable[str]) -> None:
        """The process that stands for a job hands the signal on; submitit's `cancel` would leave 1 s to save."""
        self._send(signal.SIGTERM, jobs)

    def kill(self, jobs: Iterable[str]) -> None:
        """The processes that stand for the jobs."""
        self._send(signal.SIGKILL, jobs)

    def close(self) -> None:
        """A process lives a moment longer than its answer; one that hangs then is left."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not all(job.done() for job in self.jobs.values()):
            time.sleep(self.pause)

    def _send(self, number: int, jobs: Iterable[str]) -> None:
        for job in self.alive(jobs):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(job), number)


def queue_of(spec: Slurm) -> Queue:
    """The queue that a spec asks for.

    Raises: RunError if there is no Slurm here.
    """
    return Here(spec) if spec.cluster == "local" else Cluster(spec)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Blocks Ctrl-C, for what is started inside for good."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _line(error: Exception) -> str:
    """What sbatch says, in one line."""
    lines = [line.removeprefix("sbatch: ").removeprefix("error: ").strip() for line in str(error).splitlines()]
    return "; ".join(filter(None, lines))[:500] or type(error).__name__
